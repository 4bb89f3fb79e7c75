//! What Slack is told: text as it wants it, and what its words for a failure mean.

use crate::channels::exchange::Voice;
use crate::domain::comms::Parcel;
use crate::domain::system::Fault;

/// The longest text of an update, which is shorter than that of a post; the two have to be the same here.
/// <https://docs.slack.dev/reference/methods/chat.update>
const LONGEST: usize = 4000;

/// The longest name of a channel: <https://docs.slack.dev/reference/methods/conversations.create>.
const LONGEST_NAME: usize = 80;

/// `&`, `<` and `>` control Slack's text; everything else is a writer's own business.
/// <https://docs.slack.dev/messaging/formatting-message-text/#escaping>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// As much of `text` as is left beside `taken`, never with half of an escaped character at its end.
fn cut(text: &str, taken: usize) -> String {
    let room = LONGEST.saturating_sub(taken);
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(room.saturating_sub(1)).collect();
    if let Some(at) = kept.rfind('&').filter(|at| !kept[*at..].contains(';')) {
        kept.truncate(at);
    }
    kept.push('…');
    kept
}

/// The message, with a link to the incident's own channel if there is one.
pub fn message(parcel: &Parcel, room: Option<&str>) -> String {
    // A subject without end must leave room for what is said.
    let head = format!("*{}*\n", cut(&escaped(&parcel.text.subject), LONGEST / 2));
    let tail = room.map(|id| format!("\nWe work in <#{id}>")).unwrap_or_default();
    let taken = head.chars().count() + tail.chars().count();
    format!("{head}{}{tail}", cut(&escaped(&parcel.text.body), taken))
}

/// The name of the incident's own channel.
pub fn room(parcel: &Parcel) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    parcel.incident.as_str().chars().map(plain).take(LONGEST_NAME).collect()
}

/// What a word of Slack's means. Those that name a fault of its own side leave a doubt: "it's possible some aspect of the operation
/// succeeded before the error was raised" (chat.postMessage).
pub fn refused(voice: &Voice, word: &str, more: &[String], tells: bool) -> Fault {
    let what = format!("Slack refuses: {word}");
    let with = |next: &str| voice.broken(&*what).next(format!("{next}, then `mayday outbox retry`"));
    match word {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => voice.throttled(None),
        "fatal_error" | "internal_error" if tells => voice.doubtful(what),
        "fatal_error" | "internal_error" | "service_unavailable" | "request_timeout" | "team_added_to_org" => {
            voice.later(what)
        }
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" | "no_permission" => {
            with(&format!("give [[channel]] {} a new token", voice.channel))
        }
        "missing_scope" => with(&format!("give the app the scope it needs ({})", more.join(", "))),
        "channel_not_found" | "not_in_channel" | "is_archived" => {
            with(&format!("invite the app to the channel of [[channel]] {} (/invite)", voice.channel))
        }
        _ if more.is_empty() => voice.broken(what),
        _ => voice.broken(format!("{what} ({})", more.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::comms::{Audience, Purpose, Text};
    use crate::domain::incident::Severity;
    use crate::domain::system::FaultClass;

    fn parcel(subject: &str, body: &str) -> Parcel {
        Parcel {
            message: "INC-20261123-1.m1".into(),
            incident: "INC-20261123-1".into(),
            title: "us-east-1 is down".into(),
            purpose: Purpose::Investigating,
            severity: Severity::Sev1,
            drill: false,
            text: Text { subject: subject.into(), body: body.into() },
            chain: None,
            components: Default::default(),
            part: 0,
            parts: 1,
            thread: Default::default(),
        }
    }

    #[test]
    fn only_what_controls_slack_is_escaped() {
        let said = message(&parcel("<!channel> R&D", "`a` > *b*"), Some("C1"));
        assert_eq!(said, "*&lt;!channel&gt; R&amp;D*\n`a` &gt; *b*\nWe work in <#C1>");
        assert_eq!(room(&parcel("", "")), "inc-20261123-1");
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_keeps_its_link() {
        for extra in 0..8 {
            let said = message(&parcel("s", &format!("{}{}", "x".repeat(extra), "&".repeat(5000))), Some("C1"));
            assert!(said.chars().count() <= LONGEST, "{extra}");
            assert!(said.ends_with("&amp;…\nWe work in <#C1>"), "{extra}: {}", &said[said.len() - 40..]);
        }
        assert!(message(&parcel(&"é".repeat(9000), "b"), None).chars().count() <= LONGEST);
    }

    #[test]
    fn a_fault_of_slacks_own_side_leaves_a_doubt() {
        let voice = Voice::new(&"team".into(), Audience::Internal, "Slack", Duration::from_secs(1));
        let class = |word, tells| refused(&voice, word, &[], tells).class;
        assert_eq!(class("fatal_error", true), FaultClass::Ambiguous);
        assert_eq!(class("fatal_error", false), FaultClass::Transient);
        assert_eq!(class("ratelimited", true), FaultClass::Transient);
        assert_eq!(class("not_in_channel", true), FaultClass::Permanent);
        let stranger = refused(&voice, "invalid_auth", &[], true);
        assert!(stranger.class == FaultClass::Permanent && stranger.next.contains("token"), "{stranger}");
        assert!(refused(&voice, "missing_scope", &["chat:write".into()], true).next.contains("chat:write"));
    }
}
