//! `keyward serve`: puts the parts together, serves until told to stop, and drains.

mod keys;

use crate::config::{Config, Role, Serve};
use crate::sinks::Sinks;
use crate::{home, logging};
use anyhow::Context as _;
use keyward_api::{Api, probe_router, router};
use keyward_engine::Engine;
use keyward_sandbox::Sandbox;
use keyward_vault::{Anchor, Vault};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long runs under way have at shutdown; what is left is taken up at the next start.
const DRAIN: Duration = Duration::from_secs(20);
/// How many code-step processes wait ahead of need.
const WAITING_CHILDREN: usize = 4;

/// Runs the server until SIGTERM or SIGINT.
pub(crate) async fn run(mut config: Config, serve: Serve) -> anyhow::Result<()> {
    logging::start(&config.log, config.log_format);
    home::make_directories(&config)?;
    let _lock = home::lock(&config)?;
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("listening on {}", config.listen))?;
    let address = listener.local_addr()?;
    let echo = match serve.example {
        true => Some(super::example::Echo::start(&mut config).await?),
        false => None,
    };
    let sandbox = tokio::spawn(start_sandbox(config.require_all_walls, config.unsafe_sandbox));
    let store = home::open_store(&config)?;
    let egress = home::egress(&config, Some(address))?;
    let vault = home::unlock(&config, store, egress).await?;
    let anchor = Arc::new(check_anchor(&config, &vault).await?);
    let sinks = Sinks::configure(&config, &vault)?;
    let feeding = sinks.start(&vault, home::node_id(&config.data_dir)?);
    let sandbox = sandbox.await??;
    let engine = Engine::new(vault.clone(), sandbox, home::node_id(&config.data_dir)?);
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let public_url = public_url.trim_end_matches('/').to_owned();
    let sign_in = config.sign_in.open(&public_url)?;
    let api = Api::with_sign_in(engine.clone(), public_url.clone(), sign_in);
    if config.plays(Role::Worker) {
        engine.resume().await?;
    }
    let service = match config.plays(Role::Api) {
        true => router(api.clone()),
        false => probe_router(api.clone()),
    };
    if let Some(address) = config.metrics_listen {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("metrics on {address}"))?;
        let service = keyward_api::metrics_router(api);
        tokio::spawn(async move { axum::serve(listener, service).await });
    }
    if echo.is_none() {
        print_set_up_link(&vault, &public_url).await?;
    }
    // Whoever reads the line may send the signal at once.
    let mut stop = Stop::new()?;
    logging::print(&format!("keyward listening on http://{address}"));
    let background =
        start_background(&engine, anchor.clone(), config.plays(Role::Worker), sinks.required());
    let server = tokio::spawn({
        let stopping = stop.stopping();
        let service = service.clone();
        async move {
            // The guard counts failed sign-ins by the address at the other end.
            let service = service.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).with_graceful_shutdown(stopping).await
        }
    });
    if let Some(echo) = &echo {
        super::example::run(&config, &vault, service, echo).await?;
    }
    stop.wait().await;
    tracing::info!("stopping: finishing what is under way");
    drain(&engine, server).await;
    feeding.finish().await;
    background.abort();
    anchor.write(vault.store().heads())?;
    engine.sandbox().shutdown().await;
    vault.store().close().await;
    Ok(())
}

async fn start_sandbox(require_all_walls: bool, unsafe_sandbox: bool) -> anyhow::Result<Sandbox> {
    let options = keyward_sandbox::Options {
        executable: "/proc/self/exe".into(),
        arguments: vec!["sandbox".into()],
        waiting: WAITING_CHILDREN,
        require_all_walls,
        unsafe_sandbox,
    };
    let sandbox = Sandbox::start(options).await.context("starting the sandbox")?;
    for wall in sandbox.walls().missing() {
        let reason = wall.missing.as_deref().unwrap_or_default();
        tracing::warn!(wall = %wall.name, reason, "the sandbox lacks a wall");
    }
    if unsafe_sandbox {
        tracing::warn!("UNSAFE SANDBOX: code steps may run without the wall that must stand");
    }
    Ok(sandbox)
}

/// With SQLite the database must hold what the anchor names; with PostgreSQL a failover to a
/// lagging replica looks like a rollback, so there it is not asked.
async fn check_anchor(config: &Config, vault: &Vault) -> anyhow::Result<Anchor> {
    let path = home::anchor_file(config);
    if config.database_url.is_some() {
        return Ok(Anchor::unchecked(&path, vault.clone()));
    }
    Ok(Anchor::check(&path, vault.clone()).await?)
}

async fn print_set_up_link(vault: &Vault, public_url: &str) -> anyhow::Result<()> {
    if !keyward_api::has_owner(vault).await? {
        let token = keyward_api::new_set_up_token(vault).await?;
        let public_url = public_url.trim_end_matches('/');
        logging::print(&format!("set up: {public_url}/setup#token={}", token.reveal()));
    }
    Ok(())
}

/// Heartbeats, the anchor once a second, and old entries thrown away.
fn start_background(
    engine: &Engine,
    anchor: Arc<Anchor>,
    adopts: bool,
    sinks: Vec<String>,
) -> tokio::task::JoinHandle<()> {
    let (engine, vault) = (engine.clone(), engine.vault().clone());
    tokio::spawn(async move {
        let lease = tokio::spawn(engine.clone().keep_lease(adopts));
        let keys = tokio::spawn(keys::follow(vault.clone(), engine.node()));
        let _end_with_this = [lease, keys].map(AbortOnDrop);
        let mut second = tokio::time::interval(Duration::from_secs(1));
        for count in 0u64.. {
            second.tick().await;
            let (anchor, vault) = (anchor.clone(), vault.clone());
            let heads = vault.store().heads();
            let written = tokio::task::spawn_blocking(move || anchor.write(heads)).await;
            if let Ok(Err(error)) = written {
                tracing::error!(%error, "the anchor file cannot be written");
            }
            vault.forget_old_needles();
            engine.scrub().await;
            if count % 60 == 30 {
                engine.shred_due().await;
            }
            if count % 600 == 60 {
                engine.purge().await;
                keyward_engine::cut_audit(&vault, &sinks).await;
                if let Err(error) = keyward_api::forget_old_replies(&vault).await {
                    tracing::warn!(%error, "old answers to repeated requests not forgotten");
                }
                if let Err(error) = keyward_api::forget_old_sessions(&vault).await {
                    tracing::warn!(%error, "old sessions not forgotten");
                }
            }
        }
    })
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn drain(engine: &Engine, server: tokio::task::JoinHandle<std::io::Result<()>>) {
    let finished = async {
        let _ = server.await;
        while engine.live().count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(DRAIN, finished).await.is_err() {
        tracing::warn!(runs = engine.live().count(), "runs under way are left to the next start");
    }
}

/// The signals that end the server.
struct Stop {
    told: tokio::sync::watch::Receiver<bool>,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        let (tell, told) = tokio::sync::watch::channel(false);
        let (mut term, mut int) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            tell.send_replace(true);
            // Held until the process ends, so that whoever waits is not told of a closed channel.
            std::future::pending::<()>().await;
        });
        Ok(Self { told })
    }

    fn stopping(&self) -> impl Future<Output = ()> + use<> {
        let mut told = self.told.clone();
        async move {
            let _ = told.wait_for(|told| *told).await;
        }
    }

    async fn wait(&mut self) {
        let _ = self.told.wait_for(|told| *told).await;
    }
}
