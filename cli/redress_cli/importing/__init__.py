"""Files of complaints: a table is read, its columns are understood, its rows become requests, and these are posted. Nothing vanishes."""
