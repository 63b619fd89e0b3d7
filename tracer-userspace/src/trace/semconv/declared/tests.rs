use std::{collections::HashSet, fs, path::Path};

use super::*;

#[test]
fn attributes_are_found_by_their_names() {
    assert!(ATTRIBUTES.is_sorted_by(|one, next| one.name < next.name));
    for attribute in ATTRIBUTES {
        assert_eq!(find(attribute.name).map(|found| found.name), Some(attribute.name));
        assert!(!attribute.when.is_empty(), "{}", attribute.name);
    }
    assert!(find("gen_ai.system").is_none());
}

/// The attributes that a model of the conventions declares.
fn registry() -> Option<HashSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/reference/schemas");
    let Ok(text) = fs::read_to_string(folder.join("model-gen-ai-registry-2026-05-11.yaml")) else {
        println!("not run: no model of the conventions beside the repository");
        return None;
    };
    let keys = text.lines().filter_map(|line| line.strip_prefix("  - key: "));
    Some(keys.map(|key| key.trim().to_owned()).collect())
}

/// The model is of the day on which v1.41.1 was released.
#[test]
fn v1_41_has_the_attributes_of_its_model() {
    let Some(registry) = registry() else { return };
    assert!(registry.contains("gen_ai.usage.input_tokens"), "{registry:?}");
    for attribute in ATTRIBUTES.iter().filter(|one| one.name.starts_with("gen_ai.")) {
        let is_there = registry.contains(attribute.name);
        assert_eq!(is_there, attribute.edition != Edition::Latest, "{}", attribute.name);
    }
}
