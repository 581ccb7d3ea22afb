//! The apps that a workspace knows: those that come with the server, and its own.

use crate::vault::{Vault, VaultError};
use keyward_model::catalogue::{App, Catalogue, WorkspaceApp};
use keyward_model::id::WorkspaceId;
use keyward_model::tag::Tag;
use keyward_store::StoreError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How much text of manifests the own apps in memory may have been made of, in bytes.
const KEPT_BYTES: usize = 16 << 20;

/// The apps that come with the server; none until the composition root has installed them.
#[derive(Default)]
pub(crate) struct Apps {
    built_in: OnceLock<Catalogue>,
    own: Mutex<Own>,
}

/// Own apps in memory, each with the tag of the row that was verified for it: what carries the same
/// tag is the same row, and another row is read and verified anew.
#[derive(Default)]
struct Own {
    kept: HashMap<(WorkspaceId, String), (Tag, Arc<App>)>,
    bytes: usize,
}

impl Apps {
    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Own {
    fn get(&self, workspace: WorkspaceId, id: &str, tag: &Tag) -> Option<Arc<App>> {
        let (known, app) = self.kept.get(&(workspace, id.to_owned()))?;
        (known == tag).then(|| app.clone())
    }

    fn put(&mut self, row: &WorkspaceApp, tag: Tag, app: Arc<App>) {
        if self.bytes.saturating_add(row.manifest.len()) > KEPT_BYTES {
            *self = Self::default();
        }
        // What is replaced counts on until all are thrown out.
        self.bytes += row.manifest.len();
        self.kept.insert((row.workspace, row.id.clone()), (tag, app));
    }
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

    /// An app of that id, as the workspace knows it: one that comes with the server, or its own.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn app(
        &self,
        workspace: WorkspaceId,
        id: &str,
    ) -> Result<Option<Arc<App>>, VaultError> {
        if let Some(app) = self.built_in_apps().get(id) {
            return Ok(Some(app.clone()));
        }
        if !is_text(id) {
            return Ok(None);
        }
        let name = id.to_owned();
        let tag = self.store().read(move |tx| tx.app_tag(workspace, &name)).await;
        let Some(tag) = readable(tag)? else { return Ok(None) };
        self.own_app_of(workspace, id, &tag).await
    }

    /// All apps that the workspace knows.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn apps(&self, workspace: WorkspaceId) -> Result<Catalogue, VaultError> {
        let tags = self.store().read(move |tx| tx.app_tags(workspace)).await?;
        let mut own = Vec::with_capacity(tags.len());
        for (id, tag) in tags {
            own.extend(self.own_app_of(workspace, &id, &tag).await?);
        }
        Ok(self.built_in_apps().with(own))
    }

    /// The row of a workspace's own app; `None` where there is none, or none that the server wrote.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn own_app(
        &self,
        workspace: WorkspaceId,
        id: &str,
    ) -> Result<Option<WorkspaceApp>, VaultError> {
        Ok(self.own_row(workspace, id).await?.map(|(row, _)| row))
    }

    async fn own_row(
        &self,
        workspace: WorkspaceId,
        id: &str,
    ) -> Result<Option<(WorkspaceApp, Tag)>, VaultError> {
        if !is_text(id) {
            return Ok(None);
        }
        let name = id.to_owned();
        let row = self.store().read(move |tx| tx.app(workspace, &name)).await;
        let Some(row) = readable(row)? else { return Ok(None) };
        let tag = *row.parts().1;
        match self.verify(workspace, row).await {
            Ok(row) => Ok(Some((row, tag))),
            Err(VaultError::Tampered(_)) => {
                tracing::warn!(%workspace, app = id, "the app's row is not the server's; it counts as none");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The app of a row that carries this tag, from memory where it was verified before.
    async fn own_app_of(
        &self,
        workspace: WorkspaceId,
        id: &str,
        tag: &Tag,
    ) -> Result<Option<Arc<App>>, VaultError> {
        let kept = self.apps_slot().own().get(workspace, id, tag);
        if kept.is_some() {
            return Ok(kept);
        }
        let Some((row, tag)) = self.own_row(workspace, id).await? else { return Ok(None) };
        let Some(app) = row.app().map(Arc::new) else {
            tracing::warn!(%workspace, app = id, "the app breaks a rule of this release; it counts as none");
            return Ok(None);
        };
        self.apps_slot().own().put(&row, tag, app.clone());
        Ok(Some(app))
    }
}

/// PostgreSQL's text holds no NUL, and so no id does.
fn is_text(id: &str) -> bool {
    !id.contains('\0')
}

/// A row that cannot even be read is none.
fn readable<T>(read: Result<Option<T>, StoreError>) -> Result<Option<T>, VaultError> {
    match read {
        Err(StoreError::Corrupt { .. }) => Ok(None),
        read => Ok(read?),
    }
}
