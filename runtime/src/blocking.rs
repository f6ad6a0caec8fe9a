//! Calls that block, on threads of their own.
