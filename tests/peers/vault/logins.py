"""Login methods of the double that verify a token of somebody else: JWT, and Kubernetes with its TokenReview."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from typing import Any

import jwt

from tests.peers.vault.answers import NOTHING, Answer, Json, Refused, names, not_found, wrapped
from tests.peers.vault.engine import Call, Engine

ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"]
LEEWAY = 60  # seconds of clock skew; Vault's own default
MORE_LEEWAY = 150  # seconds Vault adds where a token has no exp or nbf of its own, or has passed them
FETCH_LIMIT = 5.0  # seconds
# The claims are judged as Vault judges them, not as the library does.
SIGNATURE_ONLY: Any = {"verify_signature": True} | {
    f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
}


class Method(Engine):
    """What login methods with roles have in common: config, role/NAME, login."""

    open = ("login",)

    def is_there(self, call: Call) -> bool:
        return not call.path.startswith("role/") or call.path in call.mount.store

    def handle(self, call: Call) -> Answer:
        kind = call.path.split("/")[0]
        operation = "write" if call.request.writes else call.request.operation
        match kind, operation:
            case "login", "write":
                return self.login(call)
            case "config", "write":
                call.mount.store["config"] = self.configured(call.body)
                return NOTHING
            case "role", "write":
                call.mount.store[call.path] = self.role(call.mount.store.get(call.path, {}) | call.body)
                return NOTHING
            case (("config" | "role"), "read"):
                if call.path not in call.mount.store:
                    raise not_found()
                return Answer(data=call.mount.store[call.path])
            case "role", "list":
                found = sorted(each.split("/")[1] for each in call.mount.store if each.startswith("role/"))
                if not found:
                    raise not_found()
                return Answer(data={"keys": found})
            case "role", "delete":
                call.mount.store.pop(call.path, None)
                return NOTHING
            case (("config" | "role" | "login"), _):
                raise Refused(405, "unsupported operation")
        raise Refused(404, wrapped("unsupported path"))

    def login(self, call: Call) -> Answer:
        raise NotImplementedError

    def configured(self, body: Json) -> Json:
        raise NotImplementedError

    def role(self, body: Json) -> Json:
        raise NotImplementedError


class JwtMethod(Method):
    def configured(self, body: Json) -> Json:
        sources = ("jwt_validation_pubkeys", "jwks_url", "oidc_discovery_url")
        if sum(bool(body.get(source)) for source in sources) != 1:
            said = "exactly one of 'jwt_validation_pubkeys', 'jwks_url', 'jwks_pairs', 'oidc_discovery_url'"
            raise Refused(400, f"{said}, or 'provider_config' must be set")
        config = {
            "jwt_validation_pubkeys": names(body.get("jwt_validation_pubkeys")),
            "jwks_url": body.get("jwks_url", ""),
            "jwks_ca_pem": body.get("jwks_ca_pem", ""),
            "oidc_discovery_url": body.get("oidc_discovery_url", ""),
            "oidc_discovery_ca_pem": body.get("oidc_discovery_ca_pem", ""),
            "bound_issuer": body.get("bound_issuer", ""),
            "default_role": body.get("default_role", ""),
            "jwt_supported_algs": names(body.get("jwt_supported_algs")),
        }
        if config["jwks_url"] or config["oidc_discovery_url"]:
            _published(config)
        return config

    def role(self, body: Json) -> Json:
        bound = ("bound_audiences", "bound_subject", "bound_claims", "token_bound_cidrs")
        if body.get("role_type", "oidc") == "jwt" and not any(body.get(each) for each in bound):
            raise Refused(400, "must have at least one bound constraint when creating/updating a role")
        if not body.get("user_claim"):
            raise Refused(400, "a user claim must be defined on the role")
        return body | {"bound_audiences": names(body.get("bound_audiences"))}

    def login(self, call: Call) -> Answer:
        config = call.mount.store.get("config")
        if config is None:
            raise Refused(400, "could not load configuration")
        name = call.body.get("role") or config["default_role"]
        if not name:
            raise Refused(400, "missing role")
        role = call.mount.store.get(f"role/{name}")
        if role is None:
            raise Refused(400, f'role "{name}" could not be found')
        if not call.body.get("jwt"):
            raise Refused(400, "missing token")
        claims = self._verified(call.body["jwt"], config, role)
        alias = claims.get(role["user_claim"])
        if alias is None:
            raise Refused(400, f'claim "{role["user_claim"]}" not found in token')
        if role.get("groups_claim") and role["groups_claim"] not in claims:
            raise Refused(400, f'failed to fetch groups: "{role["groups_claim"]}" claim not found in token')
        meta = {new: str(claims[old]) for old, new in (role.get("claim_mappings") or {}).items() if old in claims}
        place = call.mounted.split("/", 1)[1].rstrip("/")
        return self.core.tokens.login(call, role, str(alias), f"{place}-{alias}", meta | {"role": name})

    def _verified(self, token: str, config: Json, role: Json) -> Json:
        claims = _signed(token, config)
        problem = _time_problem(claims)
        if config["bound_issuer"] and claims.get("iss") != config["bound_issuer"]:
            problem = "invalid issuer (iss) claim"
        if role.get("bound_subject") and claims.get("sub") != role["bound_subject"]:
            problem = "invalid subject (sub) claim"
        audiences = names(claims.get("aud"))
        if problem is None and (role["bound_audiences"] or audiences):
            if not role["bound_audiences"]:
                raise Refused(400, "audience claim found in JWT but no audiences bound to the role")
            if not set(audiences) & set(role["bound_audiences"]):
                problem = "invalid audience (aud) claim: audience claim does not match any expected audience"
        if problem is not None:
            raise Refused(400, f"error validating token: {problem}")
        for claim, expected in (role.get("bound_claims") or {}).items():
            if claim not in claims:
                raise Refused(400, f'error validating claims: claim "{claim}" is missing')
            if not {*names(claims[claim])} & {*names(expected)}:
                text = f'claim "{claim}" does not match any associated bound claim values'
                raise Refused(400, f"error validating claims: {text}")
        return claims


class KubernetesMethod(Method):
    """Asks the TokenReview of the API server that it is configured with, as Vault always does."""

    def configured(self, body: Json) -> Json:
        if not body.get("kubernetes_host"):
            raise Refused(400, "no host provided")
        keys = ("kubernetes_host", "kubernetes_ca_cert", "token_reviewer_jwt", "issuer")
        return {key: body.get(key, "") for key in keys} | {"pem_keys": names(body.get("pem_keys"))}

    def role(self, body: Json) -> Json:
        bound = {
            key: names(body.get(key)) for key in ("bound_service_account_names", "bound_service_account_namespaces")
        }
        for key, value in bound.items():
            if not value:
                raise Refused(400, f'"{key}" can not be empty')
        return body | bound

    def login(self, call: Call) -> Answer:
        name, token = call.body.get("role"), call.body.get("jwt")
        for key, value in (("role", name), ("jwt", token)):
            if not value:
                raise Refused(400, f"missing {key}")
        role, config = call.mount.store.get(f"role/{name}"), call.mount.store.get("config")
        if role is None:
            raise Refused(400, f'invalid role name "{name}"')
        if config is None:
            raise Refused(500, "could not load backend configuration")
        claims = _signed(str(token), config) if config["pem_keys"] else _unread(str(token))
        if role.get("audience") and role["audience"] not in names(claims.get("aud")):
            raise Refused(403, "permission denied")
        namespace, account = _service_account(claims)
        if not _matches(role["bound_service_account_namespaces"], namespace):
            raise Refused(403, "namespace not authorized")
        if not _matches(role["bound_service_account_names"], account):
            raise Refused(403, "service account name not authorized")
        uid = _reviewed(str(token), config, role, f"system:serviceaccount:{namespace}:{account}")
        meta = {
            "role": str(name),
            "service_account_name": account,
            "service_account_namespace": namespace,
            "service_account_uid": uid,
            "service_account_secret_name": "",
        }
        return self.core.tokens.login(call, role, uid, f"{call.mounted.split('/')[1]}-{namespace}-{account}", meta)


def _matches(bound: list[str], value: str) -> bool:
    return "*" in bound or value in bound


def _signed(token: str, config: Json) -> Json:
    """The claims, where one of the known keys has signed them."""
    if token.count(".") != 2:
        text = "go-jose/go-jose: compact JWS format must have three parts"
        raise Refused(400, f"error validating token: error verifying token signature: {text}")
    algorithms = config.get("jwt_supported_algs") or ALGORITHMS
    for key in _keys(config):
        try:
            return dict(jwt.decode(token, key, algorithms, options=SIGNATURE_ONLY))
        except (jwt.InvalidTokenError, TypeError, ValueError):
            continue
    text = "no known key successfully validated the token signature"
    raise Refused(400, f"error validating token: error verifying token signature: {text}")


def _unread(token: str) -> Json:
    try:
        return dict(jwt.decode(token, options={"verify_signature": False}))
    except jwt.InvalidTokenError as problem:
        raise Refused(400, f"error parsing JWT: {problem}") from problem


def _keys(config: Json) -> list[Any]:
    pems = config.get("jwt_validation_pubkeys") or config.get("pem_keys")
    if pems:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        return [load_pem_public_key(pem.encode()) for pem in pems]
    return [jwt.PyJWK(key).key for key in _published(config)["keys"] if key.get("use", "sig") == "sig"]


def _published(config: Json) -> Json:
    """The JWKS of the issuer, fetched each time: a key that is withdrawn counts no more."""
    url, ca = config["jwks_url"], config["jwks_ca_pem"]
    try:
        if config["oidc_discovery_url"]:
            ca = config["oidc_discovery_ca_pem"]
            url = _fetch(f"{config['oidc_discovery_url']}/.well-known/openid-configuration", ca)["jwks_uri"]
        return _fetch(url, ca)
    except (OSError, ValueError, KeyError) as problem:
        kind = "oidc discovery" if config["oidc_discovery_url"] else "jwks"
        raise Refused(400, f"error checking {kind} URL") from problem


def _fetch(url: str, ca: str, body: Json | None = None, bearer: str = "") -> Json:
    context = ssl.create_default_context(cadata=ca or None) if url.startswith("https:") else None
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {bearer}"} if bearer else {})
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(asked, timeout=FETCH_LIMIT, context=context) as answer:
        return dict(json.load(answer))


def _time_problem(claims: Json) -> str | None:
    at = time.time()
    if not any(claims.get(each) for each in ("iat", "nbf", "exp")):
        return "no issued at (iat), not before (nbf), or expiration time (exp) claims in token"
    start = claims.get("nbf") or claims.get("iat") or claims["exp"] - MORE_LEEWAY
    end = claims.get("exp") or max(start, claims.get("iat") or 0) + MORE_LEEWAY
    if at - LEEWAY > end:
        return "invalid expiration time (exp) claim: token is expired"
    if at + LEEWAY < start:
        return "invalid not before (nbf) claim: token not yet valid"
    return None


def _service_account(claims: Json) -> tuple[str, str]:
    told = claims.get("kubernetes.io") or {}
    try:
        return str(told["namespace"]), str(told["serviceaccount"]["name"])
    except (KeyError, TypeError) as problem:
        raise Refused(403, "permission denied") from problem


def _reviewed(token: str, config: Json, role: Json, user: str) -> str:
    """The uid that the API server names for the token, where it stands by it."""
    spec: Json = {"token": token} | ({"audiences": [role["audience"]]} if role.get("audience") else {})
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    url = f"{config['kubernetes_host']}/apis/authentication.k8s.io/v1/tokenreviews"
    try:
        status = _fetch(url, config["kubernetes_ca_cert"], review, config["token_reviewer_jwt"] or token)["status"]
    except (OSError, ValueError, KeyError) as problem:
        raise Refused(403, "permission denied") from problem
    if not status.get("authenticated") or status["user"]["username"] != user:
        raise Refused(403, "permission denied")
    return str(status["user"]["uid"])
