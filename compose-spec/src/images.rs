//! The images a project names, and pinning them to what they are now.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Project, Service};
use crate::tree::{Map, Node, Value};

impl Project {
    /// The references of images that enabled services name: their own, those of `pre_start` hooks, and of
    /// mounts of images that are not another service's. As they are written, each once, with the first service
    /// that names it.
    pub fn image_references(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let names: BTreeSet<String> = self.services.keys().cloned().collect();
        for service in self.services.values() {
            let mut tree = service.tree.clone();
            each_image(&mut tree, &names, &mut |image| {
                found.entry(image.clone()).or_insert_with(|| service.name.clone());
            });
        }
        found
    }

    /// Puts what `pinned` gives in the place of each reference it names.
    pub fn pin_images(&mut self, pinned: &BTreeMap<String, String>) {
        let names: BTreeSet<String> = self.services.keys().cloned().collect();
        for service in self.services.values_mut().chain(self.disabled_services.values_mut()) {
            each_image(&mut service.tree, &names, &mut |image| {
                if let Some(exact) = pinned.get(image) {
                    image.clone_from(exact);
                }
            });
        }
    }

    /// Leaves of every service only its image and its mounts of images: what an override file needs to hold
    /// everybody to the same images. Returns the services whose `pre_start` hooks are left out.
    pub fn keep_images(&mut self) -> Vec<String> {
        let mut hooks = Vec::new();
        for (name, service) in self.services.iter_mut().chain(&mut self.disabled_services) {
            if service.tree.get("pre_start").is_some() {
                hooks.push(name.clone());
            }
            keep_images(service);
        }
        for map in ["networks", "volumes", "secrets", "configs", "models", "name"] {
            if let Some(tree) = self.tree.as_map_mut() {
                tree.remove(map);
            }
        }
        self.name.clear();
        self.extensions.clear();
        hooks
    }
}

fn keep_images(service: &mut Service) {
    let Value::Map(map) = &mut service.tree.value else { return };
    let of_image = |node: &Node| node.str("type") == Some("image");
    if let Some(Value::List(mounts)) = map.get_mut("volumes").map(|entry| &mut entry.node.value) {
        mounts.retain(of_image);
    }
    map.retain(|key, _| matches!(key, "image" | "volumes"));
}

/// Visits the reference of every image that a service's tree names.
fn each_image(tree: &mut Node, services: &BTreeSet<String>, visit: &mut dyn FnMut(&mut String)) {
    let Value::Map(map) = &mut tree.value else { return };
    text(map, "image", visit);
    if let Some(Value::List(hooks)) = map.get_mut("pre_start").map(|entry| &mut entry.node.value) {
        hooks.iter_mut().filter_map(Node::as_map_mut).for_each(|hook| text(hook, "image", visit));
    }
    let Some(Value::List(mounts)) = map.get_mut("volumes").map(|entry| &mut entry.node.value) else { return };
    for mount in mounts {
        let of_image = mount.str("type") == Some("image");
        let own = mount.str("source").is_some_and(|source| services.contains(source));
        if let (true, Value::Map(mount)) = (of_image && !own, &mut mount.value) {
            text(mount, "source", visit);
        }
    }
}

fn text(map: &mut Map, key: &str, visit: &mut dyn FnMut(&mut String)) {
    if let Some(Value::String(text)) = map.get_mut(key).map(|entry| &mut entry.node.value)
        && !text.is_empty()
    {
        visit(text);
    }
}
