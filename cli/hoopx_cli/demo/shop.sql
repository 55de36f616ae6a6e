-- Made-up people: every name is an invention, every address is on a domain that is reserved for examples.
CREATE TABLE customers (
  id int PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL,
  ssn text NOT NULL,
  born date NOT NULL,
  city text NOT NULL
);
INSERT INTO customers VALUES
  (1, 'Ada Quill', 'ada.quill@example.com', '000-12-3456', '1984-03-01', 'Lisbon'),
  (2, 'Bo Larkspur', 'bo.larkspur@example.net', '000-23-4567', '1991-11-23', 'Oslo'),
  (3, 'Cy Pemberwick', 'cy.pemberwick@example.org', '000-34-5678', '1977-07-15', 'Ghent'),
  (4, 'Di Marrowstone', 'di.marrowstone@example.com', '000-45-6789', '1969-01-30', 'Porto');

CREATE TABLE orders (
  id int PRIMARY KEY,
  customer int NOT NULL REFERENCES customers (id),
  item text NOT NULL,
  total numeric(10, 2) NOT NULL
);
INSERT INTO orders
SELECT n, 1 + n % 4, (ARRAY['lamp', 'chair', 'kettle', 'atlas'])[1 + n % 4], 19.90 + n * 3
FROM generate_series(1, 40) AS n;

CREATE TABLE salaries (person text PRIMARY KEY, monthly numeric(10, 2) NOT NULL);
INSERT INTO salaries VALUES ('Ada Quill', 4100), ('Bo Larkspur', 3900);

-- What agents may read, by the shipped rules: what is made for analysis, and names nobody.
CREATE VIEW analytics_sales AS SELECT item, count(*) AS sold, sum(total) AS turnover FROM orders GROUP BY item;

CREATE ROLE shop_read NOLOGIN;
GRANT SELECT ON customers, orders, salaries, analytics_sales TO shop_read;
