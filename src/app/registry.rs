//! The modules there are to choose from: those that are built in, and those that an author adds. Calls none of them and
//! knows nothing of which are enabled.

use std::fmt;
use std::sync::Arc;

use quorate_core::contract::Module;
use thiserror::Error;

/// The modules that a configuration can name, in the order of their names.
#[derive(Clone)]
pub struct Registry {
    modules: Vec<Arc<dyn Module>>,
    /// Names that were added, whether or not they stood for a built-in module before.
    added: Vec<&'static str>,
}

/// Why a module cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// Which of two modules `[modules.NAME]` means could not be told.
    #[error("two modules are called `{0}`; give one of them another name")]
    Twice(&'static str),
    /// No `[modules.NAME]` is spelled like this.
    #[error("a module cannot be called `{0}`; names have lower-case letters, digits and underscores")]
    Name(&'static str),
}

impl Registry {
    /// The modules that come with quorate.
    #[must_use]
    pub fn built_in() -> Self {
        Self { modules: quorate_modules::all(), added: Vec::new() }
    }

    /// The built-in modules and `modules`. One that has the name of a built-in module takes its place.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn with(modules: impl IntoIterator<Item = Arc<dyn Module>>) -> Result<Self, RegistryError> {
        modules.into_iter().try_fold(Self::built_in(), Self::and)
    }

    fn and(mut self, module: Arc<dyn Module>) -> Result<Self, RegistryError> {
        let name = module.name();
        let is_spelled = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(is_spelled) {
            return Err(RegistryError::Name(name));
        }
        if self.added.contains(&name) {
            return Err(RegistryError::Twice(name));
        }
        self.added.push(name);
        self.modules.retain(|other| other.name() != name);
        let place = self.modules.partition_point(|other| other.name() < name);
        self.modules.insert(place, module);
        Ok(self)
    }

    /// All of them, in the order of their names.
    #[must_use]
    pub fn modules(&self) -> &[Arc<dyn Module>] {
        &self.modules
    }

    /// Name and version of each, as [`Purpose`](crate::config::Purpose) takes them.
    #[must_use]
    pub fn known(&self) -> Vec<(&'static str, &'static str)> {
        self.modules.iter().map(|module| (module.name(), module.version())).collect()
    }

    /// The module that `[modules.NAME]` means; none when there is no such module.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Module>> {
        self.modules.iter().find(|module| module.name() == name)
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::built_in()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.known()).finish()
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use quorate_core::contract::{ModuleError, ModuleInput, Output};

    use super::*;

    struct Called(&'static str, &'static str);

    #[async_trait]
    impl Module for Called {
        fn name(&self) -> &'static str {
            self.0
        }

        fn version(&self) -> &'static str {
            self.1
        }

        async fn invoke(&self, _input: &ModuleInput) -> Result<Vec<Output>, ModuleError> {
            Ok(Vec::new())
        }
    }

    fn with(modules: Vec<Called>) -> Result<Registry, RegistryError> {
        Registry::with(modules.into_iter().map(|module| Arc::new(module) as _))
    }

    #[test]
    fn what_is_added_stands_beside_what_is_built_in_in_the_order_of_names() {
        let registry = with(vec![Called("zeta", "1"), Called("alpha", "1")]).expect("two names");
        let names: Vec<_> = registry.known().into_iter().map(|(name, _)| name).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert_eq!(names.len(), Registry::built_in().modules().len() + 2);
        assert!(registry.find("alpha").is_some() && registry.find("probe").is_some());
        assert!(registry.find("beta").is_none());
    }

    #[test]
    fn a_module_with_the_name_of_a_built_in_one_takes_its_place() {
        let registry = with(vec![Called("probe", "mine")]).expect("one name");
        let probes: Vec<_> = registry.known().into_iter().filter(|(name, _)| *name == "probe").collect();
        assert_eq!(probes, [("probe", "mine")]);
    }

    #[test]
    fn two_added_under_one_name_are_refused_even_where_a_built_in_one_had_it() {
        for name in ["mine", "probe"] {
            let error = with(vec![Called(name, "1"), Called(name, "2")]).expect_err("one name");
            assert_eq!(error.to_string(), format!("two modules are called `{name}`; give one of them another name"));
        }
    }

    #[test]
    fn a_name_that_no_configuration_spells_is_refused() {
        for name in ["", "Peak", "peak-alert", "peak alert", "größe"] {
            assert_eq!(with(vec![Called(name, "1")]).err(), Some(RegistryError::Name(name)));
        }
    }
}
