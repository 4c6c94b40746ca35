//! Go's text/template and html/template, bounded in steps, depth and output.
