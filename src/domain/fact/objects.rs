//! Objects of a bucket, as a journal that lies in one needs them: each is written whole, on a condition, or not at all.

use async_trait::async_trait;

use crate::domain::fault::Fault;
use crate::domain::time::At;

/// On what condition an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When<'t> {
    /// There is none of this name.
    Absent,
    /// It is still the one that this tag was told of.
    Unchanged(&'t str),
    Always,
}

/// What became of writing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is kept, and has this tag.
    Kept(String),
    /// The condition did not hold: nothing was written.
    Met,
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub body: String,
    /// Equal for equal versions.
    pub tag: String,
}

/// An object's name, and when it was written by the store's clock, in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: String,
    pub written: At,
}

/// A place for objects. What was answered as written is seen by every read that begins afterwards.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Where it is, in words without a secret.
    fn name(&self) -> String;
    /// `None` when there is none of this name.
    ///
    /// # Errors
    /// When nobody answers, or refuses.
    async fn get(&self, key: &str) -> Result<Option<Object>, Fault>;
    /// One attempt.
    ///
    /// # Errors
    /// Transient or permanent: nothing was written. Ambiguous: it may have been.
    async fn put(&self, key: &str, body: &str, when: When<'_>) -> Result<Stored, Fault>;
    /// All of them whose name begins so, in the order of their names; the first few when `most` is given.
    ///
    /// # Errors
    /// When nobody answers, or refuses.
    async fn list(&self, prefix: &str, after: Option<&str>, most: Option<usize>) -> Result<Vec<Listed>, Fault>;
    /// Takes one away; one that is not there is taken away, too.
    ///
    /// # Errors
    /// When it may still be there.
    async fn remove(&self, key: &str) -> Result<(), Fault>;
}
