//! STS: who is calling.

use super::super::xml::leaf;
use super::query::{Answered, Ask};

/// The account that everything in the lab belongs to.
pub const ACCOUNT: &str = "123456789012";

/// The role that everybody acts as.
pub const ROLE: &str = "gennet-recovery";

pub fn answer(ask: &Ask<'_>) -> Answered {
    match ask.action {
        "GetCallerIdentity" => Ok(vec![
            leaf("Arn", format!("arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/lab")),
            leaf("UserId", "AROALABLABLABLABLABLA:lab"),
            leaf("Account", ACCOUNT),
        ]),
        _ => ask.unknown(),
    }
}
