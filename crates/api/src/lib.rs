//! HTTP in: parse, authorise, one call, present.
