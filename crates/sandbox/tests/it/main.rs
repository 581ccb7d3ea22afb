//! Steps run through real processes: everyday scripts, hostile ones, and the walls around them.

mod everyday;
mod helper;
