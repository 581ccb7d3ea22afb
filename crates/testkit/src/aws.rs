//! AWS on loopback: Secrets Manager, STS, IAM and S3 of moto (PyPI), which checks signatures and
//! policies; what it would let pass, `aws/server.py` checks before it. Its clock is the machine's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::python;

/// The one region.
pub const REGION: &str = "eu-west-1";

const SERVER: &str = include_str!("../aws/server.py");
const PACKAGES: [&str; 3] = ["moto[s3,secretsmanager]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];

/// An access key of a user.
#[derive(Debug, Clone)]
pub struct Key {
    /// The access key id.
    pub id: String,
    /// The secret access key.
    pub secret: String,
}

/// A request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// `secretsmanager`, `sts` or `s3`.
    pub service: String,
    /// Its action; for S3 method and target, as `GET /bucket/key`.
    pub action: String,
    /// The access key id that signed it, if one did.
    pub key: Option<String>,
    /// Its body as text.
    pub body: String,
}

/// An answer in place of the right one.
#[derive(Debug, Clone, Default)]
pub struct Fault {
    /// The status; 0 for the right answer, after `delay`.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// How long it takes.
    pub delay: Duration,
}

impl Fault {
    /// What AWS says in JSON to a client that asks too often.
    pub fn throttled() -> Self {
        let body = json!({ "__type": "ThrottlingException", "message": "Rate exceeded" });
        let headers = [("Content-Type", "application/x-amz-json-1.1"), ("Retry-After", "1")];
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            status: 400,
            headers: headers.map(own).into(),
            body: body.to_string(),
            ..Self::default()
        }
    }
}

/// A running server; it ends with this value, and also when this process is killed.
#[derive(Debug)]
pub struct Aws {
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    port: u16,
    /// A user who may read secrets, and read, write, delete and list objects.
    pub user: Key,
    /// A user who may only assume [`Self::role`].
    pub caller: Key,
    /// The ARN of a role that may do what [`Self::user`] may.
    pub role: String,
}

impl Aws {
    /// Starts a server without secrets and buckets.
    ///
    /// # Panics
    /// When its packages cannot be installed or it does not start; the message says what to do.
    pub fn start() -> Self {
        let installed = python::venv("aws", &PACKAGES);
        let mut child = Command::new(installed.join("bin/python"))
            .args(["-c", SERVER])
            .current_dir(&installed)
            .env("HOME", &installed)
            // The server ends with its standard input.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("Python starts");
        let input = child.stdin.take().expect("its input");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let ready = line(&mut output);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let key = |value: &Value| Key { id: text(&value["id"]), secret: text(&value["secret"]) };
        let port = ready["port"].as_u64().and_then(|port| port.try_into().ok());
        Self {
            child,
            port: port.expect("a port"),
            user: key(&ready["user"]),
            caller: key(&ready["caller"]),
            role: text(&ready["role"]),
            pipes: Mutex::new((input, output)),
        }
    }

    /// Its address for all services, without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls an API as an administrator, as boto3 names methods and arguments: `("iam",
    /// "delete_user", {"UserName": "x"})`. In arguments `{"base64": text}` stands for bytes. Such
    /// calls are not among [`Self::requests`].
    ///
    /// # Panics
    /// Where the call fails.
    #[track_caller]
    pub fn call(&self, service: &str, method: &str, arguments: &Value) -> Value {
        self.tell(&json!([service, method, arguments]))
    }

    /// Makes a secret of text; gives its ARN.
    #[track_caller]
    pub fn create_secret(&self, name: &str, text: &str) -> String {
        self.create(&json!({ "Name": name, "SecretString": text }))
    }

    /// Makes a secret of bytes, given as base64; gives its ARN.
    #[track_caller]
    pub fn create_binary_secret(&self, name: &str, base64: &str) -> String {
        self.create(&json!({ "Name": name, "SecretBinary": { "base64": base64 } }))
    }

    /// Gives a secret a new value; the one before it is then `AWSPREVIOUS`.
    #[track_caller]
    pub fn change_secret(&self, name: &str, text: &str) {
        let arguments = json!({ "SecretId": name, "SecretString": text });
        self.call("secretsmanager", "put_secret_value", &arguments);
    }

    /// Makes a bucket.
    #[track_caller]
    pub fn create_bucket(&self, name: &str) {
        let place = json!({ "LocationConstraint": REGION });
        let arguments = json!({ "Bucket": name, "CreateBucketConfiguration": place });
        self.call("s3", "create_bucket", &arguments);
    }

    /// Answers the next request that has no answer queued yet with this.
    pub fn queue(&self, fault: &Fault) {
        let headers: serde_json::Map<_, _> =
            fault.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let delay = fault.delay.as_secs_f64();
        let told = json!({
            "status": fault.status, "headers": headers, "body": fault.body, "delay": delay,
        });
        self.tell(&json!(["fail", told]));
    }

    /// All requests so far but those of [`Self::call`], in the order of their arrival.
    pub fn requests(&self) -> Vec<Arrived> {
        let list = self.tell(&json!(["requests"]));
        let arrived = |entry: &Value| {
            let text = |name: &str| entry[name].as_str().map(str::to_owned);
            let field = |name: &str| text(name).unwrap_or_default();
            let (service, action, body) = (field("service"), field("action"), field("body"));
            Arrived { service, action, key: text("key"), body }
        };
        list.as_array().expect("a list").iter().map(arrived).collect()
    }

    #[track_caller]
    fn create(&self, arguments: &Value) -> String {
        let made = self.call("secretsmanager", "create_secret", arguments);
        made["ARN"].as_str().expect("an ARN").to_owned()
    }

    #[track_caller]
    fn tell(&self, command: &Value) -> Value {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (input, output) = &mut *pipes;
        writeln!(input, "{command}").expect("the server takes commands");
        let mut said = line(output);
        assert!(said["error"].is_null(), "{}: {}", command[1], said["error"]);
        said["done"].take()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).expect("a line of its output");
    serde_json::from_str(&line).expect("the server starts and answers; its error is printed above")
}

#[cfg(test)]
mod tests;
