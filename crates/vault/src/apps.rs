//! The apps that a workspace knows: those that come with the server, and its own.

use crate::vault::{Vault, VaultError};
use keyward_model::catalogue::{App, Catalogue};
use keyward_model::id::WorkspaceId;
use std::sync::{Arc, OnceLock};

/// The apps that come with the server; none until the composition root has installed them.
#[derive(Default)]
pub(crate) struct Apps {
    built_in: OnceLock<Catalogue>,
}

impl Vault {
    /// Installs the apps that come with the server; called once by the composition root.
    pub fn install_apps(&self, apps: Catalogue) {
        if self.apps_slot().built_in.set(apps).is_err() {
            tracing::warn!("the apps were installed twice; the first ones stay");
        }
    }

    /// The apps that come with the server.
    pub fn built_in_apps(&self) -> &Catalogue {
        static NONE: OnceLock<Catalogue> = OnceLock::new();
        let none = || NONE.get_or_init(Catalogue::default);
        self.apps_slot().built_in.get().unwrap_or_else(none)
    }

    /// An app of that id, as the workspace knows it.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn app(
        &self,
        _workspace: WorkspaceId,
        id: &str,
    ) -> Result<Option<Arc<App>>, VaultError> {
        Ok(self.built_in_apps().get(id).cloned())
    }

    /// All apps that the workspace knows.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn apps(&self, _workspace: WorkspaceId) -> Result<Catalogue, VaultError> {
        Ok(self.built_in_apps().clone())
    }
}
