//! Rule groups, pending and firing state, restore: a state machine without I/O.
