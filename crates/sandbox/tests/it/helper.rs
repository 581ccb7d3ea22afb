//! A sandbox for a test, and scripts run to their end with scripted answers.

use keyward_sandbox::{
    Answer, Ask, CredentialHandle, Event, Failure, FetchRequest, FetchResponse, Language, Level,
    Limits, Options, Outcome, Sandbox, ScriptError, Start,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Options with this crate's own zygote.
pub(crate) fn options() -> Options {
    Options {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_sandbox-zygote")),
        arguments: Vec::new(),
        waiting: 2,
        ..Options::default()
    }
}

pub(crate) async fn sandbox() -> Sandbox {
    Sandbox::start(options()).await.expect("the sandbox starts")
}

/// Everything a step did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) logs: Vec<(Level, String)>,
    pub(crate) requests: Vec<FetchRequest>,
    pub(crate) asked: Vec<Ask>,
}

impl Ran {
    pub(crate) fn output(&self) -> serde_json::Value {
        match &self.outcome {
            Outcome::Output(text) => serde_json::from_str(text).expect("the output is JSON"),
            Outcome::Failed(failure) => panic!("failed: {failure:?}"),
        }
    }

    pub(crate) fn failure(&self) -> &Failure {
        match &self.outcome {
            Outcome::Failed(failure) => failure,
            Outcome::Output(text) => panic!("gave an output: {text}"),
        }
    }

    pub(crate) fn log(&self) -> Vec<&str> {
        self.logs.iter().map(|(_, text)| text.as_str()).collect()
    }
}

/// One step to run, with answers to what it asks.
pub(crate) struct Step {
    pub(crate) source: String,
    pub(crate) language: Language,
    pub(crate) trigger: String,
    pub(crate) credentials: Vec<CredentialHandle>,
    pub(crate) limits: Limits,
    pub(crate) on_fetch: fn(&FetchRequest) -> Answer<FetchResponse>,
    pub(crate) on_ask: fn(&Ask) -> Answer<String>,
}

pub(crate) fn step(source: &str) -> Step {
    Step {
        source: source.to_owned(),
        language: Language::Javascript,
        trigger: r#"{"body":{"n":1}}"#.to_owned(),
        credentials: Vec::new(),
        limits: Limits::default(),
        on_fetch: echo,
        on_ask: |_| Err(ScriptError::new("script_error", "nobody answers here")),
    }
}

/// Answers with what was sent.
pub(crate) fn echo(request: &FetchRequest) -> Answer<FetchResponse> {
    let body = serde_json::json!({
        "method": request.method,
        "url": request.url,
        "headers": request.headers.iter().cloned().collect::<BTreeMap<_, _>>(),
        "body": String::from_utf8_lossy(&request.body),
        "credential": request.credential,
    });
    Ok(FetchResponse {
        status: 200,
        status_text: "OK".to_owned(),
        url: request.url.clone(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into(),
        redirected: false,
    })
}

pub(crate) fn handle(key: &str, fields: &[(&str, &str)]) -> CredentialHandle {
    let own = |text: &str| text.to_owned();
    CredentialHandle {
        key: own(key),
        fields: fields.iter().map(|(name, value)| (own(name), own(value))).collect(),
        main: (fields.len() == 1).then(|| own(fields[0].0)),
        readable: false,
        info: serde_json::json!({"type": "api_key"}),
    }
}

impl Step {
    pub(crate) async fn start(&self, sandbox: &Sandbox) -> keyward_sandbox::Session {
        let compiled = sandbox.compile(&self.source, self.language).await.expect("it compiles");
        let start = Start {
            javascript: compiled.javascript.into(),
            trigger: self.trigger.as_str().into(),
            steps: r#"{"before":{"output":[1,2,3]}}"#.into(),
            run: r#"{"id":"run_1","workflow_id":"wf_1","attempt":1}"#.into(),
            item: None,
            credentials: self.credentials.clone(),
        };
        sandbox.run(start, self.limits.clone()).await.expect("it starts")
    }

    /// Runs to the end; answers come in the order of the requests.
    pub(crate) async fn run(&self, sandbox: &Sandbox) -> Ran {
        let mut session = self.start(sandbox).await;
        let (mut logs, mut requests, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            match session.next().await {
                Event::Log { level, text } => logs.push((level, text)),
                Event::Fetch { id, request } => {
                    session.answer_fetch(id, (self.on_fetch)(&request));
                    requests.push(request);
                }
                Event::Abort { .. } => {}
                Event::Ask { id, ask } => {
                    session.answer_ask(id, (self.on_ask)(&ask));
                    asked.push(ask);
                }
                Event::Finished(outcome) => return Ran { outcome, logs, requests, asked },
            }
        }
    }
}

/// Runs each source and compares its output.
pub(crate) async fn check_outputs(cases: &[(&str, serde_json::Value)]) {
    let sandbox = sandbox().await;
    for (source, expected) in cases {
        let ran = step(source).run(&sandbox).await;
        match &ran.outcome {
            Outcome::Output(text) => {
                let output: serde_json::Value = serde_json::from_str(text).expect("JSON");
                assert_eq!(&output, expected, "{source}");
            }
            Outcome::Failed(failure) => panic!("{source}: {failure:?}"),
        }
    }
}
