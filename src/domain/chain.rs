//! How far a journal has come, and its head.

/// A proof of the chain: how many records there are, and the hash of the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Chain {
    pub records: u64,
    /// SHA-256 in hex over every record in order; of no records, the empty text.
    pub head: String,
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.records, self.head)
    }
}
