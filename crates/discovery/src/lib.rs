//! Target discovery: static, file and HTTP.
