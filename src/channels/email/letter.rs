//! What is in the envelope.

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, SinglePart};

use crate::domain::comms::{Audience, Parcel};

/// For recipients who do not see each other (RFC 5322, 3.4): a group that names nobody.
const NOBODY: &str = "undisclosed-recipients:;";

/// No holiday notes in answer to this (RFC 3834), and the word for it that Exchange knows.
const AUTOMATIC: [(&str, &str); 2] = [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")];

pub struct Letter {
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    pub audience: Audience,
}

impl Letter {
    /// The letter's own name: always the same for one batch of one message.
    pub fn id(&self, parcel: &Parcel) -> String {
        format!("<{}.{}@{}>", parcel.message, parcel.part, self.from.email.domain())
    }

    /// The letter as it crosses the network.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn write(&self, parcel: &Parcel, to: &[Address]) -> Result<Vec<u8>, String> {
        let wrong = |error: lettre::error::Error| format!("no letter can be made of it: {error}");
        let envelope = Envelope::new(Some(self.from.email.clone()), to.to_vec()).map_err(wrong)?;
        let subject: String = parcel.text.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // Mail programs show what refers to the same letter as one conversation, even where nobody ever had that letter.
        let conversation = format!("<{}@{}>", parcel.incident, self.from.email.domain());
        let mut letter = Message::builder()
            .from(self.from.clone())
            .envelope(envelope)
            .subject(subject)
            .message_id(Some(self.id(parcel)))
            .in_reply_to(conversation.clone())
            .references(conversation)
            .date_now();
        if let Some(reply_to) = &self.reply_to {
            letter = letter.reply_to(reply_to.clone());
        }
        letter = match self.audience {
            Audience::Internal => to.iter().fold(letter, |letter, to| letter.to(Mailbox::new(None, to.clone()))),
            _ => letter.raw_header(raw("To", NOBODY)),
        };
        let letter = AUTOMATIC.iter().fold(letter, |letter, (name, value)| letter.raw_header(raw(name, value)));
        let letter = match &parcel.chain {
            Some(_) => letter.raw_header(raw("X-Mayday-Journal", &parcel.journal())),
            None => letter,
        };
        let text = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(parcel.text.body.clone());
        letter.singlepart(text).map(|letter| letter.formatted()).map_err(wrong)
    }
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::comms::{Purpose, Text};
    use crate::domain::incident::Severity;
    use crate::domain::journal::Chain;

    fn written(audience: Audience) -> String {
        let parcel = Parcel {
            message: "INC-20261123-1.m1".into(),
            incident: "INC-20261123-1".into(),
            title: "t".into(),
            purpose: Purpose::Investigating,
            severity: Severity::Sev1,
            drill: false,
            text: Text {
                subject: "Störung\r\nBcc: eve@x.example".into(), body: "Grüße,\n.\nwir sehen nach.".into()
            },
            chain: Some(Chain { records: 417, head: "ab".repeat(32) }),
            components: Default::default(),
            part: 2,
            parts: 3,
            only: Vec::new(),
            thread: Default::default(),
        };
        let from = "Status <status@gennet.example>".parse().unwrap();
        let letter = Letter { from, reply_to: None, audience };
        let to: Vec<Address> = ["ada@x.example", "bob@y.example"].map(|it| it.parse().unwrap()).into();
        String::from_utf8(letter.write(&parcel, &to).unwrap()).unwrap()
    }

    #[test]
    fn customers_do_not_see_each_other_and_colleagues_do() {
        let (customers, colleagues) = (written(Audience::Customers), written(Audience::Internal));
        assert!(
            !customers.contains("ada@") && customers.contains("\r\nTo: undisclosed-recipients:;\r\n"),
            "{customers}"
        );
        assert!(colleagues.contains("\r\nTo: ada@x.example, bob@y.example\r\n"), "{colleagues}");
    }

    #[test]
    fn a_letter_has_a_name_of_its_own_a_date_and_no_more_headers_than_it_should() {
        let letter = written(Audience::Customers);
        assert!(letter.contains("\r\nMessage-ID: <INC-20261123-1.m1.2@gennet.example>\r\n"), "{letter}");
        for header in ["Date: ", "References: <INC-20261123-1@gennet.example>", "Auto-Submitted: auto-generated"] {
            assert!(letter.contains(&format!("\r\n{header}")), "{header}\n{letter}");
        }
        assert!(!letter.contains("\r\nBcc:") && letter.is_ascii(), "{letter}");
    }
}
