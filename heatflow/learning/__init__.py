"""Folds, scaling, augmentation, network and training."""
