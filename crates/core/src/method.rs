use std::fmt;

/// The `:path` of a gRPC request: `/package.Service/Method`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MethodPath<'a> {
    path: &'a str,
    slash: usize,
}

impl<'a> MethodPath<'a> {
    /// Reads a path; it needs a leading slash, a service and a method that are not empty.
    pub fn parse(path: &'a str) -> Result<Self, InvalidMethodPath> {
        let rest = path.strip_prefix('/').ok_or(InvalidMethodPath)?;
        let slash = rest.rfind('/').ok_or(InvalidMethodPath)? + 1;
        if slash == 1 || slash + 1 == path.len() {
            return Err(InvalidMethodPath);
        }
        Ok(MethodPath { path, slash })
    }

    /// The whole path, `/package.Service/Method`.
    pub fn as_str(&self) -> &'a str {
        self.path
    }

    /// The full service name, `package.Service`.
    pub fn service(&self) -> &'a str {
        &self.path[1..self.slash]
    }

    /// The method name alone.
    pub fn method(&self) -> &'a str {
        &self.path[self.slash + 1..]
    }
}

/// The path is not of the form `/package.Service/Method`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidMethodPath;

impl fmt::Display for InvalidMethodPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a method path has the form /package.Service/Method")
    }
}

impl std::error::Error for InvalidMethodPath {}

#[cfg(test)]
mod tests {
    use super::MethodPath;

    #[test]
    fn splits_at_the_last_slash() {
        let path = MethodPath::parse("/pkg.Greeter/SayHello").unwrap();
        assert_eq!((path.service(), path.method()), ("pkg.Greeter", "SayHello"));
        let nested = MethodPath::parse("/a/b/C").unwrap();
        assert_eq!((nested.service(), nested.method()), ("a/b", "C"));
    }

    #[test]
    fn refuses_what_has_no_service_or_no_method() {
        for bad in ["", "/", "//", "a/b", "/a", "/a/", "//b"] {
            assert!(MethodPath::parse(bad).is_err(), "{bad:?}");
        }
    }
}
