"""The one room that turns finished values into text.  It decides nothing and looks at nothing.

`plain` and `terminal` are two faces of the same answers, laid out from the same phrases (`words`, `owners`, `binds`,
`table`); both yield lines, and only `stream` writes.  `stop`, `wait` and `preflight` have two faces as well, and for
people they speak with the `headline` and the `voice` of a check (`terminal_stop` and so on).  `json_documents` makes
the JSON.  Text from strangers is made harmless here and nowhere else (`escape`).
"""
