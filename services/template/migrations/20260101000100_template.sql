-- What is due, and the lists that people work from: columns of `state` that are generated from heard and done, and the indexes that serve
-- them. Nothing yet.

-- migrate:up

-- migrate:down
