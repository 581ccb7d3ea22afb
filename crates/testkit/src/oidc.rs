//! A real OpenID provider on loopback (npm `oidc-provider`, run by `node`), and a browser that signs
//! in at it without pages. The provider ends with its value.

mod browser;
mod install;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use self::browser::Browser;

/// The one client that the provider knows.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its secret; without one it is a public client.
    pub secret: Option<&'a str>,
    /// How it shows its secret: `client_secret_basic`, `client_secret_post` or `none`.
    pub method: &'a str,
    /// What its ID tokens are signed with: `RS256` or `ES256`.
    pub algorithm: &'a str,
}

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    child: Child,
    port: u16,
}

impl Provider {
    /// Starts a provider for that client.
    ///
    /// # Panics
    /// When `node` or `npm` is missing or fails; the message says what to do.
    pub fn start(client: Client<'_>) -> Self {
        let folder = install::folder();
        let mut told = json!({ "id": client.id, "method": client.method, "alg": client.algorithm });
        if let Some(secret) = client.secret {
            told["secret"] = secret.into();
        }
        let mut child = Command::new("node")
            .arg("provider.mjs")
            .current_dir(folder)
            .env("CLIENT", told.to_string())
            // The provider ends with its standard input, so also when this process is killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`node` starts; install Node.js 20 or later");
        let mut line = String::new();
        let printed = child.stdout.take().expect("its output");
        BufReader::new(printed).read_line(&mut line).expect("a line of its output");
        let ready: Value = serde_json::from_str(&line).expect("the provider says its port");
        let port = ready["port"].as_u64().and_then(|port| port.try_into().ok());
        Self { child, port: port.expect("a port") }
    }

    /// Its issuer, as it says itself.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Replaces users (`{name: claims}`) and faults (see `oidc/provider.mjs`).
    pub fn set(&self, users: &Value, faults: &Value) {
        let body = json!({ "users": users, "faults": faults });
        let answer = Browser::default().send(self.port, "PUT", "/_control", &body.to_string());
        assert_eq!(answer.status, 200, "the provider takes its users");
    }

    /// The calls of the token endpoint so far: `{"status", "authorization"}`.
    pub fn token_calls(&self) -> Vec<Value> {
        let answer = Browser::default().send(self.port, "GET", "/_log", "");
        serde_json::from_str(&answer.body).expect("the provider's log")
    }

    /// Signs in as that user where a browser was sent; gives the address that it is sent back to.
    /// A name that the provider does not know is refused there.
    pub fn sign_in(&self, location: &str, user: &str) -> String {
        let own = self.issuer();
        let mut browser = Browser::default();
        let mut location = format!("{location}&login_hint={user}");
        for _ in 0..10 {
            let path = location.strip_prefix(&own).unwrap_or(&location);
            if !path.starts_with('/') {
                return location;
            }
            let answer = browser.send(self.port, "GET", path, "");
            location = answer.header("location").unwrap_or_else(|| {
                panic!("the provider answered {}: {}", answer.status, answer.body)
            });
        }
        panic!("the provider redirects in a circle");
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_sent_back_with_a_code_and_a_stranger_with_an_error() {
        let id = "keyward";
        let client = Client { id, secret: None, method: "none", algorithm: "RS256" };
        let provider = Provider::start(client);
        provider.set(&json!({ "alice": { "email": "alice@example.com" } }), &json!({}));
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"; // RFC 7636 appendix B
        let location = format!(
            "{}/auth?client_id={id}&response_type=code&scope=openid&state=s&nonce=n\
             &code_challenge={challenge}&code_challenge_method=S256\
             &redirect_uri=http://127.0.0.1:1/sign-in/oidc/callback",
            provider.issuer()
        );
        let check = |user: &str, expected: &str| {
            let back = provider.sign_in(&location, user);
            assert!(back.starts_with("http://127.0.0.1:1/sign-in/oidc/callback?"), "{back}");
            assert!(back.contains(expected) && back.contains("state=s"), "{user}: {back}");
        };
        check("alice", "code=");
        check("nobody", "error=access_denied");
        assert!(provider.token_calls().is_empty());
    }
}
