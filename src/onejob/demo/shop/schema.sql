-- The shop's database. Every basket has 40 lines: the customers are businesses.
CREATE TABLE tenants (tenant_id text PRIMARY KEY, size text NOT NULL);
INSERT INTO tenants SELECT 's-' || i, 'small' FROM generate_series(1, 60) i;
INSERT INTO tenants SELECT 'm-' || i, 'medium' FROM generate_series(1, 15) i;
INSERT INTO tenants SELECT 'l-' || i, 'large' FROM generate_series(1, 4) i;

CREATE TABLE products (product_id int PRIMARY KEY, category int NOT NULL, name text NOT NULL);
INSERT INTO products SELECT i, i % 20, 'Product ' || i FROM generate_series(1, 400) i;
CREATE INDEX ON products (category);

CREATE TABLE basket_lines (
    basket_id int, product_id int, quantity int NOT NULL, PRIMARY KEY (basket_id, product_id)
);
INSERT INTO basket_lines
SELECT b, (b * 7 + l * 9) % 400 + 1, l % 3 + 1 FROM generate_series(1, 200) b, generate_series(1, 40) l;

-- A database is one network away in production, about a millisecond there and back; this one is a Unix socket away.
-- The view and the function below wait that long once per statement, without using the processor.
CREATE TABLE price_list (product_id int PRIMARY KEY, price int NOT NULL);
INSERT INTO price_list SELECT i, 100 + (i * 37) % 900 FROM generate_series(1, 400) i;
CREATE VIEW prices AS
SELECT product_id, price FROM (SELECT pg_sleep(0.001) OFFSET 0) AS network, price_list;

-- The warehouse's quota is asked for at another company: slow, and every version before the last one does it.
CREATE FUNCTION delivery_quota(region int) RETURNS int LANGUAGE sql VOLATILE AS
$$ SELECT 20 + region FROM (SELECT pg_sleep(0.036) OFFSET 0) AS warehouse $$;
CREATE TABLE delivery_slots (region int, slot int, PRIMARY KEY (region, slot));
INSERT INTO delivery_slots SELECT r, s FROM generate_series(0, 9) r, generate_series(1, 12) s;

CREATE TABLE orders (
    order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL, basket_id int NOT NULL,
    total int NOT NULL, placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE charges (
    charge_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, method text NOT NULL, reference text NOT NULL,
    amount int NOT NULL
);
ANALYZE;
