"""What stages say, in lines of text made from what the library returns: rewording one trains nothing again."""
