//! LogQL lexer, parser, tree and printer: no evaluation, no I/O.
