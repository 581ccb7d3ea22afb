//! The walls around a step's process, by name, and which of them this machine gives.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A wall around the process of a code step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WallName {
    /// A list of allowed system calls; any other ends the process. The one that must stand.
    Seccomp,
    /// The kernel's file and network rights, all handled and none given.
    Landlock,
    /// A user namespace of its own, where it has no capability.
    UserNamespace,
    /// A process namespace: it sees no other process.
    PidNamespace,
    /// A network namespace without any interface.
    NetNamespace,
    /// A mount namespace whose root is empty.
    MountNamespace,
    /// A namespace for System V and POSIX message objects.
    IpcNamespace,
    /// Bounds on memory, CPU time, descriptors, files and core dumps.
    Rlimits,
}

impl WallName {
    /// Every wall, in the order they are reported.
    pub const ALL: [Self; 8] = [
        Self::Seccomp,
        Self::Landlock,
        Self::UserNamespace,
        Self::PidNamespace,
        Self::NetNamespace,
        Self::MountNamespace,
        Self::IpcNamespace,
        Self::Rlimits,
    ];

    /// The name as reports, metrics and errors write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::UserNamespace => "user_namespace",
            Self::PidNamespace => "pid_namespace",
            Self::NetNamespace => "net_namespace",
            Self::MountNamespace => "mount_namespace",
            Self::IpcNamespace => "ipc_namespace",
            Self::Rlimits => "rlimits",
        }
    }
}

impl fmt::Display for WallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One wall and, where it is missing, the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wall {
    /// Which wall.
    pub name: WallName,
    /// Why it is missing; absent where it stands.
    pub missing: Option<String>,
}

/// Every wall, present or missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walls {
    walls: Vec<Wall>,
}

impl Walls {
    /// A report in which nothing stands yet.
    pub(crate) fn none() -> Self {
        let missing = || Some("not tried".to_owned());
        let wall = |name| Wall { name, missing: missing() };
        Self { walls: WallName::ALL.into_iter().map(wall).collect() }
    }

    /// Records how putting up a wall went.
    pub(crate) fn record<E: fmt::Display>(&mut self, name: WallName, result: Result<(), E>) {
        let missing = result.err().map(|error| error.to_string());
        if let Some(wall) = self.walls.iter_mut().find(|wall| wall.name == name) {
            wall.missing = missing;
        }
    }

    /// Every wall in a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = &Wall> {
        self.walls.iter()
    }

    /// The walls that this machine does not give.
    pub fn missing(&self) -> impl Iterator<Item = &Wall> {
        self.walls.iter().filter(|wall| wall.missing.is_some())
    }

    /// Whether this wall stands.
    pub fn stands(&self, name: WallName) -> bool {
        self.walls.iter().any(|wall| wall.name == name && wall.missing.is_none())
    }
}
