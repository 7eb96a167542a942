"""Networks of other libraries to our graph, one file each; the libraries are imported inside the functions."""
