"""The one room that turns finished values into text.  It decides nothing and looks at nothing.

`plain` and `human` are two faces of the same answers, laid out from the same phrases (`words`, `owners`,
`binds`, `table`); both yield lines, and `stream` alone writes.  `document` makes the JSON.  What comes from
strangers is made harmless here and only here (`escape`).
"""
