//! All that crosses a process boundary: generated protobuf, JSON transfer objects, framing.
