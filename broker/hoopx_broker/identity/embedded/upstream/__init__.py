"""Providers of organisations, where people of the embedded issuer prove who they are: OpenID Connect and SAML 2.0."""
