//! Which values of a run are sealed before anything is written: those that feed an external
//! credential, and those that a manifest calls secret. Worked out when a workflow is saved.

use crate::catalogue::{Catalogue, OutputPath, SchemeOf};
use crate::json::Fault;
use crate::template::{Path, Root};
use crate::workflow::{CredentialInput, Definition, External, Step, StepKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Values at or below a path, and where they may go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRule {
    /// The path, from the trigger or the step's output on.
    pub path: OutputPath,
    /// What below it is plain all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spared: Vec<OutputPath>,
    /// Host entries; none for any public host.
    pub hosts: Vec<String>,
}

/// What is sealed of one value; the first rule that covers a place counts there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    /// The rules.
    pub rules: Vec<SealRule>,
    /// Whether code fetches the value, or computes it in a way that is not followed: nobody knows it
    /// before the output, and what stands beside a sealed value in it may be secret, too.
    #[serde(skip)]
    pub computed: bool,
}

/// What is sealed of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealingPlan {
    /// Of its trigger.
    #[serde(default)]
    pub trigger: Sealing,
    /// Of its steps' outputs, by step id.
    #[serde(default)]
    pub outputs: BTreeMap<String, Sealing>,
    /// Steps of code that compute an external value in a way that cannot be followed: until they
    /// have ended, nothing of the run is readable.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<String>,
}

impl SealingPlan {
    /// Whether nothing is sealed.
    pub fn is_empty(&self) -> bool {
        self.trigger.rules.is_empty() && self.outputs.is_empty() && self.withheld.is_empty()
    }
}

/// Where what a step of code gives at a path comes from.
pub enum Origins {
    /// From these paths, and from nothing else that could be secret.
    Known(Vec<Path>),
    /// That cannot be told.
    Unknown,
}

/// Asks where what a step of code gives at a path comes from.
pub type Follow<'a> = &'a dyn Fn(&Step, &Path) -> Origins;

/// The plan of a checked definition.
pub fn plan(definition: &Definition, apps: &Catalogue, follow: Follow<'_>) -> SealingPlan {
    let mut planner =
        Planner { definition, apps, follow, found: Vec::new(), plan: SealingPlan::default() };
    for step in &definition.steps {
        if let Some(external) = external_of(step) {
            let hosts = planner.hosts(step, external);
            for (_, path) in secret_fields(step, external, apps) {
                planner.add(path, &hosts, 0);
            }
        }
    }
    planner.finish()
}

/// The external credential of a step.
pub fn external_of(step: &Step) -> Option<&External> {
    let credential = match &step.kind {
        StepKind::Http(http) => http.credential.as_ref(),
        StepKind::App(app) => app.credential.as_ref(),
        StepKind::Agent(agent) => agent.model.credential.as_ref(),
        StepKind::Code(_) => None,
    };
    match credential? {
        CredentialInput::External(external) => Some(external),
        CredentialInput::Stored(_) => None,
    }
}

fn secret_fields<'d>(
    step: &Step,
    external: &'d External,
    apps: &Catalogue,
) -> Vec<(&'d str, &'d Path)> {
    let scheme = scheme_of(step, external, apps);
    let is_secret = |name: &str| {
        let field = scheme.as_ref().and_then(|scheme| scheme.manifest.field(name));
        field.is_none_or(|field| field.secret)
    };
    external.paths().filter(|(name, _)| is_secret(name)).collect()
}

fn scheme_of<'a>(step: &Step, external: &External, apps: &'a Catalogue) -> Option<SchemeOf<'a>> {
    match &step.kind {
        StepKind::App(app) => apps.get(&app.app)?.scheme(external.scheme.as_deref()),
        _ => None,
    }
}

struct Planner<'a> {
    definition: &'a Definition,
    apps: &'a Catalogue,
    follow: Follow<'a>,
    /// Paths that feed an external field, with the hosts of whom they feed.
    found: Vec<(Path, BTreeSet<String>)>,
    plan: SealingPlan,
}

impl Planner<'_> {
    /// Where the step sends its credential.
    fn hosts(&self, step: &Step, external: &External) -> Vec<String> {
        if let StepKind::Http(http) = &step.kind {
            let origin = http.request.literal_origin();
            return origin.into_iter().map(|url| host_entry(&url)).collect();
        }
        let Some(scheme) = scheme_of(step, external, self.apps) else { return Vec::new() };
        let plain = external.literals().map(|(name, text)| (name.to_owned(), text.to_owned()));
        scheme.manifest.hosts_for(&plain.collect())
    }

    /// Notes a path, and what it comes from through steps of code.
    fn add(&mut self, path: &Path, hosts: &[String], depth: usize) {
        match self.found.iter_mut().find(|(known, _)| known == path) {
            Some((_, known)) => {
                let before = known.len();
                known.extend(hosts.iter().cloned());
                if known.len() == before {
                    return;
                }
            }
            None => self.found.push((path.clone(), hosts.iter().cloned().collect())),
        }
        let Root::Step(id) = &path.root else { return };
        let Some((_, step)) = self.definition.step(id) else { return };
        if !matches!(step.kind, StepKind::Code(_)) || depth > crate::workflow::MAX_STEPS {
            return;
        }
        match (self.follow)(step, path) {
            Origins::Unknown => drop(self.plan.withheld.insert(id.clone())),
            Origins::Known(origins) => {
                origins.iter().for_each(|origin| self.add(origin, hosts, depth + 1));
            }
        }
    }

    fn finish(mut self) -> SealingPlan {
        for (path, hosts) in std::mem::take(&mut self.found) {
            let rule = SealRule {
                path: OutputPath::of(&path),
                spared: Vec::new(),
                hosts: hosts.into_iter().collect(),
            };
            match &path.root {
                Root::Trigger => self.plan.trigger.rules.push(rule),
                Root::Step(id) => {
                    self.plan.outputs.entry(id.clone()).or_default().rules.push(rule);
                }
                _ => {}
            }
        }
        for step in &self.definition.steps {
            let StepKind::App(app) = &step.kind else { continue };
            let action = self.apps.get(&app.app).and_then(|found| found.action(&app.action));
            for path in action.into_iter().flat_map(|action| &action.secret_outputs) {
                let spared = action.map(|action| action.plain_outputs.clone()).unwrap_or_default();
                let rule = SealRule { path: path.clone(), spared, hosts: Vec::new() };
                let id = step.id.as_str().to_owned();
                self.plan.outputs.entry(id).or_default().rules.push(rule);
            }
        }
        self.plan
    }
}

fn host_entry(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match (url.scheme(), url.port()) {
        ("https", None) => host.to_owned(),
        ("https", Some(port)) => format!("{host}:{port}"),
        (_, None) => format!("http://{host}"),
        (_, Some(port)) => format!("http://{host}:{port}"),
    }
}

/// The steps whose actions only read, by id.
pub fn reading_steps(definition: &Definition, apps: &Catalogue) -> BTreeSet<String> {
    let reads = |step: &&Step| match &step.kind {
        StepKind::App(app) => {
            let action = apps.get(&app.app).and_then(|found| found.action(&app.action));
            // A query may be told to write.
            let writes = app.written.get("write").is_some_and(|write| *write != false);
            action.is_some_and(|action| action.reads) && !writes
        }
        _ => false,
    };
    definition.steps.iter().filter(reads).map(|step| step.id.as_str().to_owned()).collect()
}

/// What a definition asks of apps: each exists, with the action and the scheme, and the inputs and
/// external fields are those that they take.
pub fn check_apps(definition: &Definition, apps: &Catalogue) -> Vec<Fault> {
    let steps = definition.steps.iter().enumerate();
    steps.flat_map(|(at, step)| check_step(&format!("/steps/{at}"), step, apps)).collect()
}

fn check_step(at: &str, step: &Step, apps: &Catalogue) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let StepKind::Http(_) = &step.kind
        && let Some(external) = external_of(step)
    {
        check_http_fields(&format!("{at}/credential/$external"), external, &mut faults);
    }
    let StepKind::App(step) = &step.kind else { return faults };
    let Some(app) = apps.get(&step.app) else {
        return vec![Fault::new(format!("{at}/app"), "unknown_app", "there is no such app")];
    };
    let Some(action) = app.action(&step.action) else {
        let known: Vec<&str> = app.manifest.actions.iter().map(|a| a.id.as_str()).collect();
        let detail = format!("the app has no such action; it has {}", known.join(", "));
        return vec![Fault::new(format!("{at}/action"), "unknown_action", detail)];
    };
    faults.extend(action.check_inputs(&step.written, &format!("{at}/inputs")));
    match &step.credential {
        None => {
            let detail = "names no credential; an app's action needs one";
            faults.push(Fault::new(format!("{at}/credential"), "missing", detail));
        }
        Some(CredentialInput::Stored(_)) => {}
        Some(CredentialInput::External(external)) => {
            let at = format!("{at}/credential/$external");
            match app.scheme(external.scheme.as_deref()) {
                Some(scheme) if !action.takes(&scheme.manifest.id) => {
                    let detail =
                        format!("the action works with {} only", action.schemes.join(", "));
                    faults.push(Fault::new(format!("{at}/scheme"), "invalid_value", detail));
                }
                Some(scheme) => check_fields(&at, external, scheme, &mut faults),
                None => {
                    let known: Vec<&str> =
                        app.manifest.schemes.iter().map(|s| s.id.as_str()).collect();
                    let detail = format!("must be one of: {}", known.join(", "));
                    faults.push(Fault::new(format!("{at}/scheme"), "invalid_value", detail));
                }
            }
        }
    }
    faults
}

/// The fields of a scheme: the needed ones there, no others, and no secret written out.
fn check_fields(at: &str, external: &External, scheme: SchemeOf<'_>, faults: &mut Vec<Fault>) {
    let at = format!("{at}/fields");
    for field in &scheme.manifest.fields {
        let given = external.has(&field.name);
        if field.required && field.default.is_none() && !given {
            let pointer = crate::json::child(&at, &field.name);
            faults.push(Fault::new(pointer, "missing", format!("{} is needed", field.label)));
        }
        if field.secret && external.literals().any(|(name, _)| name == field.name) {
            faults.push(literal(&at, &field.name));
        }
        let text = external.literals().find(|(name, _)| *name == field.name).map(|(_, text)| text);
        let fits = |text: &str| field.fits(text);
        if !field.secret && text.is_some_and(|text| !fits(text)) {
            let pointer = crate::json::child(&at, &field.name);
            faults.push(Fault::new(pointer, "invalid_value", "the scheme takes no such value"));
        }
    }
    // Whoever sends the event could have a secret of somebody else's store sent to them.
    let fetched = |(name, path): (&str, &Path)| {
        let is_secret = scheme.manifest.field(name).is_some_and(|field| field.secret);
        is_secret && matches!(path.root, Root::Step(_))
    };
    if external.paths().any(fetched) {
        for name in scheme.manifest.host_fields() {
            if external.paths().any(|(given, path)| given == name && path.root == Root::Trigger) {
                let detail = "says where a secret goes that a step has read, so it is written out, or \
                              comes from a step too";
                faults.push(Fault::new(crate::json::child(&at, name), "computed_host", detail));
            }
        }
    }
    for name in external.names().filter(|name| scheme.manifest.field(name).is_none()) {
        let known: Vec<&str> = scheme.manifest.fields.iter().map(|f| f.name.as_str()).collect();
        let detail = format!("the scheme has no such field; it has {}", known.join(", "));
        faults.push(Fault::new(crate::json::child(&at, name), "unknown_field", detail));
    }
}

fn literal(at: &str, name: &str) -> Fault {
    let detail = "a literal value is not taken here: save it as a credential, or name where the \
                  run's data has it, such as {{ trigger.body.token }}";
    Fault::new(crate::json::child(at, name), "literal_secret", detail)
}

/// The secret fields of each type that an `http` step takes external credentials as.
pub const HTTP_SCHEMES: &[(&str, &[&str])] = &[
    ("api_key", &["value"]),
    ("basic", &["username", "password"]),
    ("oauth2", &["oauth_access_token"]),
];

/// The type that an `http` step's external credential is of: named, or told by its fields.
pub fn http_scheme(external: &External) -> Option<&'static str> {
    let names: BTreeSet<&str> = external.names().collect();
    let fits = |(name, fields): &&(&'static str, &[&str])| match &external.scheme {
        Some(scheme) => scheme == name,
        None => fields.iter().copied().collect::<BTreeSet<_>>() == names,
    };
    HTTP_SCHEMES.iter().find(fits).map(|(name, _)| *name)
}

fn check_http_fields(at: &str, external: &External, faults: &mut Vec<Fault>) {
    let Some(scheme) = http_scheme(external) else {
        let known: Vec<&str> = HTTP_SCHEMES.iter().map(|(name, _)| *name).collect();
        let detail = format!("must be one of: {}", known.join(", "));
        faults.push(Fault::new(format!("{at}/scheme"), "invalid_value", detail));
        return;
    };
    let fields = HTTP_SCHEMES.iter().find(|(name, _)| *name == scheme).map_or(&[][..], |s| s.1);
    let at = format!("{at}/fields");
    for name in fields.iter().filter(|name| !external.has(name)) {
        faults.push(Fault::new(crate::json::child(&at, name), "missing", "is needed"));
    }
    for name in external.names() {
        if !fields.contains(&name) {
            let detail = format!("{scheme} has the fields {}", fields.join(", "));
            faults.push(Fault::new(crate::json::child(&at, name), "unknown_field", detail));
        } else if external.literals().any(|(literal, _)| literal == name) {
            faults.push(literal(&at, name));
        }
    }
}
