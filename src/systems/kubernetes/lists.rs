//! Lists, page by page, to their end: the first page alone would look like all there is.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks>

use kube::Error;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// So many objects are asked for at once, and so many times: no cluster has more.
const MOST: usize = 1000;
const PAGES: usize = 100;
/// A list of which the server has forgotten the rest (410) is begun anew so often.
const TRIES: usize = 4;

/// What stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A word as a part of a path.
pub fn part(word: &str) -> String {
    utf8_percent_encode(word, PLAIN).to_string()
}

/// What came of reading a list.
pub enum Read<K> {
    All(Vec<K>),
    Broken(Error),
    /// There are more than so many.
    Endless(usize),
    /// The server forgot the rest of it every time.
    Expires,
}

#[derive(Deserialize)]
pub struct Page<K> {
    #[serde(default)]
    metadata: Metadata,
    /// An empty list may be told as `null`.
    items: Option<Vec<K>>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

/// A list that is being read.
pub struct Reading<K> {
    path: String,
    found: Vec<K>,
    /// What the next page begins with.
    from: String,
    pages: usize,
    tries: usize,
}

impl<K> Reading<K> {
    pub fn of(path: &str) -> Self {
        Self { path: path.to_owned(), found: Vec::new(), from: String::new(), pages: 0, tries: 1 }
    }

    /// What to ask for next.
    pub fn next(&self) -> String {
        format!("{}?limit={MOST}{}", self.path, self.from)
    }

    /// Takes an answer; says when there is no more to ask for.
    pub fn take(&mut self, answer: Result<Page<K>, Error>) -> Option<Read<K>> {
        match answer {
            // Half of an old list and half of a new one would be neither: what was seen is thrown away.
            Err(Error::Api(status)) if status.code == 410 && self.tries < TRIES => {
                *self = Self { tries: self.tries + 1, ..Self::of(&self.path) };
                None
            }
            Err(Error::Api(status)) if status.code == 410 => Some(Read::Expires),
            Err(error) => Some(Read::Broken(error)),
            Ok(page) => {
                self.pages += 1;
                self.found.extend(page.items.into_iter().flatten());
                match page.metadata.next.filter(|token| !token.is_empty()) {
                    None => Some(Read::All(std::mem::take(&mut self.found))),
                    Some(_) if self.pages == PAGES => Some(Read::Endless(PAGES * MOST)),
                    Some(token) => {
                        self.from = format!("&continue={}", part(&token));
                        None
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::{Value, json};

    use super::*;

    /// Reads a list from pages that are handed out one after the other; says what came of it, and what was asked for.
    fn read(pages: Vec<Result<Value, u16>>) -> (Result<usize, &'static str>, Vec<String>) {
        let (mut reading, mut asked, mut pages) = (Reading::<u64>::of("/api/v1/pods"), Vec::new(), pages.into_iter());
        loop {
            asked.push(reading.next());
            let answer = match pages.next().expect("one more page was asked for") {
                Ok(page) => Ok(serde_json::from_value(page).unwrap()),
                Err(code) => Err(Error::Api(Box::new(Status { code, ..Default::default() }))),
            };
            let came = match reading.take(answer) {
                None => continue,
                Some(Read::All(found)) => Ok(found.len()),
                Some(Read::Broken(_)) => Err("broken"),
                Some(Read::Endless(_)) => Err("endless"),
                Some(Read::Expires) => Err("expires"),
            };
            return (came, asked);
        }
    }

    fn page(items: &[u64], next: &str) -> Result<Value, u16> {
        Ok(json!({ "metadata": { "continue": next }, "items": items }))
    }

    #[test]
    fn a_list_is_read_to_its_end() {
        let (found, asked) = read(vec![page(&[1, 2], "a/b=="), page(&[3], "")]);
        assert_eq!(found, Ok(3));
        assert_eq!(asked[1], "/api/v1/pods?limit=1000&continue=a%2Fb%3D%3D");
        assert_eq!(read(vec![Ok(json!({ "metadata": {}, "items": null }))]).0, Ok(0));
    }

    #[test]
    fn what_the_server_forgot_in_the_middle_is_begun_anew_and_half_is_never_all() {
        let (found, asked) = read(vec![page(&[1, 2], "x"), Err(410), page(&[7], "y"), page(&[8], "")]);
        assert_eq!((found, asked[2].as_str()), (Ok(2), "/api/v1/pods?limit=1000"), "what was seen before is dropped");
        assert_eq!(read((0..TRIES).flat_map(|_| [page(&[1], "x"), Err(410)]).collect()).0, Err("expires"));
        assert_eq!(read(vec![page(&[1], "x"), Err(500)]).0, Err("broken"));
        assert_eq!(read((0..PAGES).map(|_| page(&[1], "x")).collect()).0, Err("endless"));
    }
}
