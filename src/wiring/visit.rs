//! A running lab, visited by its control page: what it was told, what is broken in it, and breaking it by hand.

use std::time::Duration;

use reqwest::{RequestBuilder, Url};
use serde_json::{Value, json};

use super::failure::Failure;
use super::say::say;
use crate::cli::args::{BreakArgs, Format, LabAt, LabCommand};
use crate::cli::exit::Exit;
use crate::cli::{faults, inbox};
use crate::domain::text::clean;
use crate::lab::faults::{CONDITIONS, places};
use crate::outbound::http::{client, root};

/// How long the control page may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks into the lab that runs, or changes what is broken in it.
///
/// # Errors
/// When no lab answers, or it refuses.
pub async fn run(command: &LabCommand, format: Format) -> Result<Exit, Failure> {
    match command {
        LabCommand::Inbox(args) => {
            let query: Vec<_> = args.service.iter().map(|service| ("service", service.as_str())).collect();
            let control = Control::of(&args.at)?;
            let told = control.get("inbox", &query).await?;
            let text = inbox::text(&told).map_err(|why| control.missing(&why))?;
            say(format, &told, text)
        }
        LabCommand::Break(BreakArgs { list: true, .. }) => {
            let conditions: Vec<(&str, &str)> = CONDITIONS.iter().map(|(word, _, about)| (*word, *about)).collect();
            let places = places();
            say(format, &faults::list_json(&places, &conditions), faults::list(&places, &conditions))
        }
        LabCommand::Break(args) => {
            let mut wanted = json!({ "place": args.place, "condition": args.condition });
            if let Some(by) = &args.by {
                wanted["by"] = by.as_str().into();
            }
            broken(&Control::of(&args.at)?.post("break", &wanted).await?, format)
        }
        LabCommand::Heal(args) => {
            let wanted = args.place.as_ref().map_or_else(|| json!({}), |place| json!({ "place": place }));
            broken(&Control::of(&args.at)?.post("heal", &wanted).await?, format)
        }
        LabCommand::Faults(at) => broken(&Control::of(at)?.get("", &[]).await?, format),
    }
}

fn broken(answer: &Value, format: Format) -> Result<Exit, Failure> {
    let now = &answer["faults"];
    say(format, &json!({ "faults": now }), faults::now(now))
}

/// The control page of a lab.
struct Control(String);

impl Control {
    /// The named one, or that of the lab that wrote into the directory.
    fn of(at: &LabAt) -> Result<Self, Failure> {
        if let Some(url) = &at.control {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let file = at.dir.join("lab.json");
        let why = |what: String| {
            Failure::unreachable(format!(
                "no lab is known at {}: {what} → start one with `mayday lab`, or name its --dir or --control",
                file.display()
            ))
        };
        let text = std::fs::read_to_string(&file).map_err(|error| why(error.to_string()))?;
        let known: Value = serde_json::from_str(&text).map_err(|error| why(error.to_string()))?;
        let control = known["endpoints"]["control"].as_str();
        control.map(|url| Self(url.to_owned())).ok_or_else(|| why("it has no control page".into()))
    }

    fn missing(&self, why: &str) -> Failure {
        Failure::unreachable(format!(
            "no lab answers at {}: {why} → start one with `mayday lab`, or name its --dir or --control",
            clean(&self.0)
        ))
    }

    fn url(&self, page: &str, query: &[(&str, &str)]) -> Result<Url, Failure> {
        let address = format!("{}/{page}", self.0);
        let url = if query.is_empty() { Url::parse(&address) } else { Url::parse_with_params(&address, query) };
        url.map_err(|error| self.missing(&error.to_string()))
    }

    async fn get(&self, page: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
        self.ask(client().map_err(Failure::failed)?.get(self.url(page, query)?)).await
    }

    async fn post(&self, page: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(client().map_err(Failure::failed)?.post(self.url(page, &[])?).json(body)).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let lost = |error: reqwest::Error| self.missing(&root(&error.without_url()));
        let answer = request.timeout(PATIENCE).send().await.map_err(lost)?;
        let (status, body) = (answer.status(), answer.json::<Value>().await.map_err(lost)?);
        if status.is_success() {
            return Ok(body);
        }
        let why = body["error"].as_str().map_or_else(|| status.to_string(), clean);
        Err(Failure::new(Exit::Usage, format!("the lab refuses: {why} → mayday lab break --list")))
    }
}
