//! Programs that hand out credentials.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use serde::Deserialize;
use tokio::process::Command;

use crate::domain::text::clean;
use crate::domain::time::At;
use crate::outbound::child;
use std::time::Duration;

/// What a program may print.
const LONGEST: usize = 64 * 1024;
/// A run of letters and digits that is longer may be a secret.
const LONGEST_WORD: usize = 20;

/// What a program prints by <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// Runs a `credential_process`. It is ended with all that it started when it takes too long.
///
/// # Errors
/// Why it gave none, in a few words without what may be a secret.
pub async fn process(command: &str, name: &str) -> Result<Credentials, String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    let left = child::output(shell, LONGEST, LIMIT)
        .await
        .map_err(|lost| format!("the `credential_process` of {name} {}", lost.words(LIMIT)))?;
    if !left.status.success() {
        let said = without_secrets(&left.complaint);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        return Err(format!("the `credential_process` of {name} failed ({}){said}", left.status));
    }
    let printed: Printed = serde_json::from_slice(&left.printed)
        .map_err(|_| format!("the `credential_process` of {name} printed no credentials"))?;
    let ends = printed.expiration.as_deref().map(|text| text.parse::<At>());
    let ends = ends
        .transpose()
        .map_err(|_| format!("the `credential_process` of {name} printed an `Expiration` that is no time"))?;
    let ends = ends.map(SystemTime::from);
    Ok(Credentials::new(printed.access_key_id, printed.secret_access_key, printed.session_token, ends, "process"))
}

/// A text without what may be a secret: long runs of letters and digits.
pub fn without_secrets(text: &str) -> String {
    let text = clean(text);
    let part = |c: char| c.is_ascii_alphanumeric() || "+/=_".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let word = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(word);
        let is_secret = run.len() >= LONGEST_WORD && run.bytes().any(|byte| byte.is_ascii_digit());
        out.push_str(if is_secret { "…" } else { run });
        let gap = after.find(part).unwrap_or(after.len());
        out.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    out
}

/// The longest that getting them may take.
pub const LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_fails_is_told_by_its_last_line_and_without_secrets() {
        let good = r#"echo '{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s","SessionToken":"t","Expiration":"2036-01-01T00:00:00Z"}'"#;
        let found = process(good, "profile `p`").await.unwrap();
        assert_eq!((found.access_key_id(), found.session_token()), ("AKIA", Some("t")));
        assert!(found.expiry().is_some());
        for (command, words) in [
            ("echo wJalrXUtnFEMI0K7MDENG1bPxRfiCYEXAMPLEKEY is no key >&2; exit 3", "(exit status: 3): … is no key"),
            ("false", "failed (exit status: 1)"),
            ("echo no json", "printed no credentials"),
            ("echo '{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s\",\"Expiration\":\"soon\"}'", "no time"),
        ] {
            let why = process(command, "profile `p`").await.unwrap_err();
            assert!(why.contains(words), "{command}: {why}");
        }
    }
}
