"""The description of the API: each view says by `@operation` what it takes and answers, `document` puts it together."""
