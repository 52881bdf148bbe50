//! The optional list of files in `_SUCCESS` against the files of the folder.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use serde::{Deserialize, Deserializer};

use super::defect::Issue;
use super::open_export::OpenFile;
use crate::contracts::SUCCESS_FILE;
use crate::days::readiness::Folder;
use crate::messages;
use crate::store::Store;

/// A list of several hundred thousand files fits. A larger `_SUCCESS` is not a list, and is not
/// read.
const MOST_LIST_BYTES: u64 = 16 << 20;

/// `files` is absent or a list; null is an error.
#[derive(Deserialize)]
struct Object {
    #[serde(default, deserialize_with = "list")]
    files: Option<Vec<ListedFile>>,
}

fn list<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Vec<ListedFile>>, D::Error> {
    Vec::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct ListedFile {
    name: String,
    size_bytes: u64,
    row_count: u64,
}

/// Compares the folder's files with the list in `_SUCCESS`; no issue where it has none.
///
/// # Errors
/// When the store fails.
pub(super) fn check_success_list(
    store: &Store,
    folder: &Folder,
    files: &[OpenFile],
) -> Result<Vec<Issue>> {
    // A mark of another name has no list: its content is not read.
    let Some(mark) = folder.mark().filter(|mark| mark.name == SUCCESS_FILE) else {
        return Ok(vec![]);
    };
    let path = format!("{}/{SUCCESS_FILE}", folder.path);
    let size_bytes = mark.size_bytes;
    if size_bytes > MOST_LIST_BYTES {
        return Ok(vec![not_a_list(format!("{size_bytes} bytes"))]);
    }
    let text = store.read(&path)?.unwrap_or_default();
    Ok(match parse(&text) {
        Ok(Some(list)) => compare(&list, files),
        Ok(None) => vec![],
        Err(found) => vec![not_a_list(found)],
    })
}

/// `None`: only a mark. White space counts as empty. So does an object without `files`, which
/// Hadoop's S3A committers write.
fn parse(text: &[u8]) -> std::result::Result<Option<Vec<ListedFile>>, String> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err("no JSON object".into());
    }
    let object: Object = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    Ok(object.files)
}

fn not_a_list(found: String) -> Issue {
    let expected = r#"nothing, or {"files":[{"name":...,"size_bytes":...,"row_count":...}]}"#;
    Issue::new(
        SUCCESS_FILE,
        None,
        expected,
        messages::not_a_success_list(found),
    )
}

fn compare(list: &[ListedFile], files: &[OpenFile]) -> Vec<Issue> {
    let found: HashMap<&str, &OpenFile> = files
        .iter()
        .map(|file| (file.name.as_str(), file))
        .collect();
    let mut issues = Vec::new();
    let mut names = HashSet::new();
    for listed in list {
        let name = listed.name.as_str();
        if !names.insert(name) {
            issues.push(differs(
                name,
                "one entry in the list of _SUCCESS",
                "several",
            ));
        }
        issues.extend(compare_file(listed, found.get(name).copied()));
    }
    let unlisted = files
        .iter()
        .filter(|file| !names.contains(file.name.as_str()));
    let expected = "only the files that _SUCCESS lists";
    issues
        .extend(unlisted.map(|file| differs(&file.name, expected, "a file that it does not list")));
    issues
}

/// `found`: the file of that name in the folder.
fn compare_file(listed: &ListedFile, found: Option<&OpenFile>) -> Vec<Issue> {
    let Some(file) = found else {
        let expected = "a file, as _SUCCESS lists it";
        return vec![differs(&listed.name, expected, "no such file")];
    };
    let bytes = other_count(file, "bytes", listed.size_bytes, file.size_bytes);
    let rows = other_count(file, "rows", listed.row_count, file.rows);
    bytes.into_iter().chain(rows).collect()
}

/// `unit`: bytes or rows of a file.
fn other_count(file: &OpenFile, unit: &str, listed: u64, found: u64) -> Option<Issue> {
    let expected = || format!("{listed} {unit}, as _SUCCESS lists it");
    (listed != found).then(|| differs(&file.name, &expected(), &format!("{found} {unit}")))
}

fn differs(file: &str, expected: &str, found: &str) -> Issue {
    Issue::new(file, None, expected, messages::success_lies(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_files_and_white_space_are_marks() {
        let is_mark = |text: &str| matches!(parse(text.as_bytes()), Ok(None));
        assert!(
            [
                "",
                "\n",
                " \t\r\n",
                "{}",
                r#"{"name":"S3A","success":true,"filenames":["a"]}"#
            ]
            .map(is_mark)
                == [true; 5]
        );
        for text in [
            "[]",
            "done",
            "null",
            r#"{"files":null}"#,
            r#"{"files":[{"name":"a"}]}"#,
            "{}{}",
            "\u{a0}",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(
            parse(br#"{"files":[{"name":"a","size_bytes":1,"row_count":2}]}"#)
                .unwrap()
                .unwrap()
                .len(),
            1
        );
    }
}
