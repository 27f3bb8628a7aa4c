"""Learn geothermal heat-flow residuals from terrain."""

import os

# Drivers of GDAL for vector files that hold no data but say where to take it from, be it a file, an address or a
# program to run; they open whatever looks like theirs, by whatever name. They can be left out only before GDAL starts.
_POINTERS = (
    "OGR_VRT,GDALG,WFS,HTTP,SQLite,GPSBabel,ADBC,OAPIF,OGCAPI,CSW,EEDA,Carto,AmigoCloud,Elasticsearch,NGW,PLSCENES"
)
if _POINTERS not in os.environ.get("GDAL_SKIP", ""):
    os.environ["GDAL_SKIP"] = ",".join(filter(None, [os.environ.get("GDAL_SKIP"), _POINTERS]))
# With SpatiaLite a view in a GeoPackage could read any file of this machine.
os.environ.setdefault("SPATIALITE_LOAD", "NO")
# GML may name a schema and other files on the network.
os.environ.setdefault("GML_DOWNLOAD_SCHEMA", "NO")
os.environ.setdefault("GML_SKIP_RESOLVE_ELEMS", "ALL")
