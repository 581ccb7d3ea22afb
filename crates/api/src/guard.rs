//! The guard at every door that a password or a link opens: attempts are counted in the database,
//! so that all nodes share them, and too many failures make the next one wait.

use crate::problem::Problem;
use crate::router::Api;
use axum::extract::{ConnectInfo, FromRequestParts};
use http::header::USER_AGENT;
use http::request::Parts;
use keyward_model::people::Session;
use keyward_model::sign_in::{OF_AN_ACCOUNT, OF_AN_ADDRESS, WINDOW_MILLIS};
use keyward_store::StoreError;
use keyward_vault::{TokenKind, Vault, VaultError};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The most characters that are kept of what a browser calls itself.
const MAX_AGENT: usize = 200;

/// Where a request came from, as far as the connection tells.
pub(crate) struct Client {
    /// The address at the other end of the connection; empty where nothing is known of it.
    pub(crate) address: String,
    /// What the browser calls itself.
    pub(crate) user_agent: String,
    /// What failures are counted under: the address or, of IPv6, its network of 64 bits.
    network: String,
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let ip = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical());
        let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            address: ip.map(|ip| ip.to_string()).unwrap_or_default(),
            user_agent: agent.unwrap_or_default().chars().take(MAX_AGENT).collect(),
            network: ip.map(network).unwrap_or_default(),
        })
    }
}

/// One household gets 2^64 addresses of IPv6 at least.
fn network(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).to_string(),
    }
}

/// An attempt that counts as a failure until it is said to be none.
#[must_use]
pub(crate) struct Attempt {
    account: Option<[u8; 32]>,
    network: [u8; 32],
}

impl Attempt {
    /// Counts an attempt from there, on the account of that address; `rate_limited` where too many
    /// have failed.
    pub(crate) async fn begin(
        api: &Api,
        client: &Client,
        email: Option<&str>,
    ) -> Result<Self, Problem> {
        let hash = |kind, text| api.vault().token_hash(TokenKind::SignIn, &format!("{kind}{text}"));
        let account = email.map(|email| hash("account ", email));
        let network = hash("address ", &client.network);
        let mut keys = vec![(network, OF_AN_ADDRESS)];
        keys.extend(account.map(|key| (key, OF_AN_ACCOUNT)));
        // In one order, so that two attempts never wait for each other's row.
        keys.sort_unstable();
        let now = api.vault().now();
        match api.store().record(move |tx| tx.count_attempt(&keys, now)).await? {
            None => Ok(Self { account, network }),
            Some(millis) => {
                tracing::info!(wait_ms = millis, "sign-in refused after too many failures");
                Err(Problem::rate_limited(millis))
            }
        }
    }

    /// It was right: the account's failures are forgotten, the address's others are not.
    pub(crate) async fn succeeded(self, api: &Api) -> Result<(), StoreError> {
        let Self { account, network } = self;
        let forgive = move |tx: &mut keyward_store::RunTx<'_>| {
            tx.forgive_attempt(&network)?;
            account.map_or(Ok(()), |key| tx.forgive_all_attempts(&key))
        };
        api.store().record(forgive).await
    }

    /// It was neither right nor wrong, such as a form that is not filled in whole.
    pub(crate) async fn withdrawn(self, api: &Api) -> Result<(), StoreError> {
        let Self { account, network } = self;
        let forgive = move |tx: &mut keyward_store::RunTx<'_>| {
            tx.forgive_attempt(&network)?;
            account.map_or(Ok(()), |key| tx.forgive_attempt(&key))
        };
        api.store().record(forgive).await
    }
}

/// Forgets sessions that are over and failures that count no more; called once in a while by the
/// composition root.
///
/// # Errors
/// Where the database cannot be used.
pub async fn forget_old_sessions(vault: &Vault) -> Result<u64, VaultError> {
    let now = vault.now();
    let (seen, created) = Session::over(now);
    let forget = move |tx: &mut keyward_store::RunTx<'_>| {
        tx.purge_attempts(now.plus_millis(-WINDOW_MILLIS))?;
        tx.purge_sessions(seen, created)
    };
    Ok(vault.store().record(forget).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_counts_as_one() {
        let check = |ip: &str, expected: &str| {
            let ip: IpAddr = ip.parse().expect("an address");
            assert_eq!(network(ip.to_canonical()), expected, "{ip}");
        };
        check("192.0.2.7", "192.0.2.7");
        check("::ffff:192.0.2.7", "192.0.2.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("::1", "::");
    }
}
