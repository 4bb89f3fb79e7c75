//! What somebody probably meant.

/// The word that `wrong` was probably meant to be.
pub fn nearest<'w>(wrong: &str, words: &[&'w str]) -> Option<&'w str> {
    let wrong = wrong.to_lowercase();
    let far = wrong.chars().count().div_ceil(3).clamp(1, 4);
    let by_distance = words.iter().map(|word| (strsim::damerau_levenshtein(&wrong, &word.to_lowercase()), *word));
    by_distance.filter(|(distance, _)| *distance <= far).min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// `did you mean …?` where one is near, otherwise what there is to choose from.
pub fn one_of(wrong: &str, words: &[&str]) -> String {
    if let Some(word) = nearest(wrong, words) {
        return format!("did you mean `{word}`?");
    }
    let mut once: Vec<&str> = Vec::new();
    words.iter().filter(|word| !word.is_empty()).for_each(|word| {
        if !once.contains(word) {
            once.push(word);
        }
    });
    match once.as_slice() {
        [] => String::new(),
        [only] => format!("there is only `{only}`"),
        words => format!("there are {}", words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let words = ["us-east-1", "us-west-2", "timeout"];
        assert_eq!(nearest("us-esat-1", &words), Some("us-east-1"));
        assert_eq!(nearest("TIMEOUT", &words), Some("timeout"));
        assert_eq!(nearest("tmieout", &words), Some("timeout"));
        assert_eq!(nearest("frankfurt", &words), None);
        assert_eq!(nearest("", &words), None);
        assert_eq!(one_of("frankfurt", &["a", "b", "a", ""]), "there are `a`, `b`");
    }
}
