//! What the house rules are checked with. The rules themselves are in `tests/`.

/// Whether a licence expression, such as `(MIT OR Apache-2.0) AND Unicode-3.0`, can be met with licences that `allowed` lists. A
/// slash between names is the older way to write `OR`. What cannot be read is not met.
pub fn licence_fits(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let fits = any(&mut rest, allowed);
    fits == Some(true) && rest.is_empty()
}

/// Alternatives: one of them is enough.
fn any(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut fits = all(rest, allowed)?;
    while let Some((&"OR", after)) = rest.split_first() {
        *rest = after;
        fits |= all(rest, allowed)?;
    }
    Some(fits)
}

/// Demands: each has to be met.
fn all(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let mut fits = one(rest, allowed)?;
    while let Some((&"AND", after)) = rest.split_first() {
        *rest = after;
        fits &= one(rest, allowed)?;
    }
    Some(fits)
}

fn one(rest: &mut &[&str], allowed: &[&str]) -> Option<bool> {
    let (word, after) = rest.split_first()?;
    *rest = after;
    if *word == "(" {
        let fits = any(rest, allowed)?;
        let (&")", after) = rest.split_first()? else { return None };
        *rest = after;
        return Some(fits);
    }
    if let [with @ "WITH", exception, after @ ..] = *rest {
        *rest = after;
        return Some(allowed.contains(&format!("{word} {with} {exception}").as_str()));
    }
    Some(allowed.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_alternatives_one_is_enough_and_of_demands_none_may_be_missing() {
        let ours = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"];
        for good in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(licence_fits(good, &ours), "{good}");
        }
        // The parentheses of the first one were taken away, and MIT alone was found to do.
        for bad in ["(MIT OR Apache-2.0) AND GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0", "", "(MIT", "MIT)", "MIT WITH GPL"]
        {
            assert!(!licence_fits(bad, &ours), "{bad}");
        }
    }
}
