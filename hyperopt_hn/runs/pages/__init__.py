"""Pages of one file for a browser, made with Bokeh (the extra `explore`): what toy and deep share of them."""
