//! Sample and column codecs: bit streams, varints, XOR and histogram chunks, checksums.
