//! Decides which addresses a destination may be reached at: looks it up and checks every answer.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use futures_util::future::BoxFuture;
use url::Host;

use crate::address::{self, Class};
use crate::allow::Allow;
use crate::connect::Fault;
use crate::destination::{Destination, Scheme};
use crate::error::{Blocked, Failure};

/// How a name becomes addresses; a parameter so that tests can answer differently each time.
pub(crate) type Resolve =
    Box<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// The address rules of one server.
pub(crate) struct Guard {
    allow: Allow,
    own: Vec<SocketAddr>,
    resolve: Resolve,
}

/// The system's resolver, `/etc/hosts` included.
pub(crate) fn system_resolver() -> Resolve {
    Box::new(|host, port| {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    })
}

impl Guard {
    pub(crate) fn new(allow: Allow, own: Vec<SocketAddr>, resolve: Resolve) -> Self {
        Self { allow, own, resolve }
    }

    /// Whether the allow list names the host, or covers it where it is an address.
    pub(crate) fn names(&self, destination: &Destination) -> bool {
        let port = destination.port();
        match literal(destination) {
            Some(ip) => self.allow.covers(address::canonical(ip), port),
            None => self.allow.names(destination.host(), port),
        }
    }

    /// What can be told without a look-up. `plain`: nothing encrypts the connection.
    pub(crate) fn before_lookup(
        &self,
        destination: &Destination,
        plain: bool,
    ) -> Result<(), Blocked> {
        if let Some(ip) = literal(destination) {
            return self.check_address(destination, plain, ip);
        }
        let named = self.names(destination);
        if address::is_metadata_name(destination.host()) && !named {
            return Err(Blocked::Metadata);
        }
        // A name may still resolve into a CIDR of the list.
        if plain && !named && !self.allow.has_networks() {
            return Err(Blocked::Plain);
        }
        Ok(())
    }

    /// The addresses to dial: every one that the name has, each of them checked.
    pub(crate) async fn addresses(
        &self,
        destination: &Destination,
        plain: bool,
    ) -> Result<Vec<SocketAddr>, Fault> {
        self.before_lookup(destination, plain).map_err(Fault::Blocked)?;
        let port = destination.port();
        if let Some(ip) = literal(destination) {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let found = (self.resolve)(destination.host().to_owned(), port)
            .await
            .map_err(|_| Fault::Failed(Failure::Name))?;
        if found.is_empty() {
            return Err(Fault::Failed(Failure::Name));
        }
        // One bad answer refuses the name: whoever mixes them is not to be trusted with the rest.
        for address in &found {
            self.check_address(destination, plain, address.ip()).map_err(Fault::Blocked)?;
        }
        // The port is the destination's, whatever the resolver says.
        Ok(found.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect())
    }

    fn check_address(
        &self,
        destination: &Destination,
        plain: bool,
        ip: IpAddr,
    ) -> Result<(), Blocked> {
        let port = destination.port();
        let ip = address::canonical(ip);
        let named = !destination.is_address() && self.allow.names(destination.host(), port);
        let open = named || self.allow.covers(ip, port);
        if self.is_own(ip, port) {
            return Err(Blocked::Own);
        }
        let metadata_open = self.allow.covers_exactly(ip, port)
            || (named && address::is_metadata_name(destination.host()));
        match address::classify(ip) {
            Class::Metadata if !metadata_open => Err(Blocked::Metadata),
            Class::Special if !open => Err(Blocked::NotPublic),
            _ if plain && !open => Err(Blocked::Plain),
            _ => Ok(()),
        }
    }

    fn is_own(&self, ip: IpAddr, port: u16) -> bool {
        self.own.iter().filter(|own| own.port() == port).any(|own| {
            let own = address::canonical(own.ip());
            // 0.0.0.0 listens on every address of this machine, and dialled it means this machine.
            let any = own.is_unspecified() || ip.is_unspecified();
            own == ip || (any && is_local(ip))
        })
    }
}

/// Whether an encrypted connection is not part of the scheme.
pub(crate) fn is_plain(scheme: Scheme) -> bool {
    scheme != Scheme::Https
}

fn literal(destination: &Destination) -> Option<IpAddr> {
    match destination.typed_host() {
        Host::Ipv4(v4) => Some(IpAddr::V4(*v4)),
        Host::Ipv6(v6) => Some(IpAddr::V6(*v6)),
        Host::Domain(_) => None,
    }
}

/// Whether the address is one of this machine's: only those can be bound.
fn is_local(ip: IpAddr) -> bool {
    ip.is_unspecified() || ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests;
