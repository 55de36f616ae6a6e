"""The issuer inside the broker, for one machine: local users, device flow, keys of its own."""
