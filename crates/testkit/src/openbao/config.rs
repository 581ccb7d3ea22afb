//! What the server is started with: a file of settings and, for TLS, a certificate.

use std::fs;
use std::path::Path;

use crate::authority::Authority;
use crate::child::free_ports;

/// The file of all requests, in the server's folder.
pub(super) const REQUESTS: &str = "requests.log";

/// Where it listens.
pub(super) struct Ports {
    /// For clients.
    pub(super) public: u16,
    /// For tests, without TLS.
    pub(super) control: u16,
}

/// Writes the settings into the server's folder.
pub(super) fn write(folder: &Path, authority: &Authority, tls: bool) -> Ports {
    let [public, control, cluster, cluster_too] = free_ports();
    let at = |name: &str| folder.join(name).display().to_string();
    let certified = authority.certify(&["localhost", "127.0.0.1"]);
    fs::write(at("certificate.pem"), certified.certificate).expect("a certificate");
    fs::write(at("key.pem"), certified.key).expect("a key");
    fs::create_dir(at("store")).expect("a folder for the store");
    let security = if tls {
        let (certificate, key) = (at("certificate.pem"), at("key.pem"));
        format!("tls_cert_file = \"{certificate}\"\n  tls_key_file = \"{key}\"")
    } else {
        "tls_disable = true".to_owned()
    };
    let (store, requests) = (at("store"), at(REQUESTS));
    let text = format!(
        r#"storage "raft" {{
  path = "{store}"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{public}"
  cluster_address = "127.0.0.1:{cluster}"
  {security}
}}
listener "tcp" {{
  address = "127.0.0.1:{control}"
  cluster_address = "127.0.0.1:{cluster_too}"
  tls_disable = true
}}
audit "file" "requests" {{
  options {{
    file_path = "{requests}"
  }}
}}
api_addr = "http://127.0.0.1:{control}"
cluster_addr = "https://127.0.0.1:{cluster}"
"#
    );
    fs::write(at("bao.hcl"), text).expect("the settings");
    Ports { public, control }
}
