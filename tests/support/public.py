"""The names that users import, and the classes that those lead to: the first never move, both are documented."""

from __future__ import annotations

PUBLIC = {
    "alias_middleware": [
        "AliasError",
        "HeaderAlias",
        "Item",
        "Tracker",
        "Visitor",
        "WapNetworkInfo",
        "current_visitor",
    ],
    "alias_middleware.wsgi": ["AliasMiddleware", "ENVIRON_KEY"],
    "alias_middleware.asgi": ["AliasMiddleware", "SCOPE_KEY"],
    "alias_middleware.flask": ["Alias", "current_visitor"],
    "alias_middleware.starlette": ["AliasBackend", "get_visitor"],
    "alias_middleware.contact": [
        "Facts",
        "Policy",
        "ShortCode",
        "ShortCodes",
        "Verdict",
        "next_allowed",
        "policy",
        "public_holidays",
        "sms_text",
        "verdict",
    ],
    "alias_middleware.identity": ["HeaderAlias", "Recognition", "Source", "Status", "WapNetworkInfo"],
}
REACHED = {
    "alias_middleware.fields": ["Profile"],
    "alias_middleware.figures": ["Statistics"],
    "alias_middleware.privacy": ["Privacy"],
    "alias_middleware.recontact": ["Contact"],
    "alias_middleware.audience": ["Audience"],
    "alias_middleware.campaigns": ["Campaign", "Preview", "Progress"],
    "alias_middleware.desaliasing": ["Desaliasing"],
    "alias_middleware.contact": ["FrequencyCap", "Mo", "SmsText"],
    "alias_middleware.smsplus.confirmations": ["Confirmations"],
    "alias_middleware.smsplus.endpoint": ["KannelEndpoint"],
    "alias_middleware.smsplus.kannel": ["KannelTransport"],
    "alias_middleware.smsplus.transports": ["ConsoleTransport", "FileTransport"],
    "alias_middleware.transport": ["Outgoing", "Transport"],
}
