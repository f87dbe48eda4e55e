"""One file per vendor behind a port; wire format in, our types out."""
