"""Writers of file formats: COG, HGT, contours, web terrain, hillshades, thumbnails; each streamed in bounded memory."""
