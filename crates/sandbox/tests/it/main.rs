//! Steps run through real processes: everyday scripts, hostile ones, and the walls around them.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod compiling;
mod credentials;
mod everyday;
mod fetching;
mod globals;
mod helper;
mod hostile;
mod lifecycle;
mod origins;
mod walls;
